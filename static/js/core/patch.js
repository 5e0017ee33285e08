// Apply changes to the page: put an element, append text, drop an element.
//
// The order of children is decided by their data-order, never by the order of arrival. An element with
// data-keep is a shell: once there it is not replaced, because others lie in it. One with data-blocks grows at
// its end: what stands at its beginning and is still the same stays in place, with the reader's focus and selection.

export const hooks = { before: [], put: [], text: [], drop: [], after: [], gap: [] };

const lengths = new WeakMap(); // streamed text → the number of code points to its end, as the server counts them
const template = document.createElement("template");

export function apply(changes, context = {}) {
  for (const hook of hooks.before) hook(context);
  for (const [kind, target, ...rest] of changes) {
    if (kind === "put") put(target, ...rest, context);
    else if (kind === "text") append(target, ...rest, context);
    else if (kind === "drop") drop(target);
  }
  for (const hook of hooks.after) hook(context);
}

function put(target, parentId, order, html, insert, context) {
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  if (!fresh) return;
  const old = document.getElementById(target);
  const parent = parentId ? document.getElementById(parentId) : null;
  let placed = false;
  if (old) placed = replace(old, fresh, order);
  else if (insert && parent) placed = place(parent, fresh, order);
  const element = old && old.isConnected ? old : fresh;
  if (placed && window.htmx) window.htmx.process(fresh);
  for (const hook of hooks.put) hook(element, { placed, inserted: placed && !old, context });
}

function replace(old, fresh, order) {
  if (old.hasAttribute("data-keep")) return false;
  const moves = order && old.dataset.order !== order;
  if (!order && old.dataset.order) fresh.dataset.order = old.dataset.order;
  const focus = old.contains(document.activeElement) ? pathTo(old, document.activeElement) : null;
  keepOpen(old, fresh);
  const parent = old.parentElement;
  if (old.hasAttribute("data-blocks") && fresh.hasAttribute("data-blocks")) {
    growTo(old, fresh);
    if (moves) place(parent, old, order);
    return true;
  }
  old.replaceWith(fresh);
  if (moves) place(parent, fresh, order);
  if (focus) at(fresh, focus)?.focus({ preventScroll: true });
  return true;
}

function growTo(old, fresh) {
  let same = 0;
  while (same < fresh.childNodes.length && old.childNodes[same]?.isEqualNode(fresh.childNodes[same])) same += 1;
  while (old.childNodes.length > same) old.lastChild.remove();
  old.append(...[...fresh.childNodes].slice(same));
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const name of fresh.getAttributeNames()) old.setAttribute(name, fresh.getAttribute(name));
}

// Sorted by data-order. Most arrive last, so the search goes from the end.
function place(parent, fresh, order) {
  fresh.remove();
  if (order) fresh.dataset.order = order;
  let before = null;
  for (let child = parent.lastElementChild; child; child = child.previousElementSibling) {
    if (child.dataset.order === undefined || child.dataset.order <= order) break;
    before = child;
  }
  parent.insertBefore(fresh, before);
  return true;
}

function append(target, text, start, context) {
  const element = document.getElementById(target);
  if (!element) return;
  const have = lengths.get(element) ?? Number(element.dataset.begin || 0) + Array.from(element.textContent).length;
  const points = Array.from(text);
  if (start > have) {
    for (const hook of hooks.gap) hook(element, context);
    return;
  }
  const fresh = points.slice(have - start);
  if (!element.firstChild) element.append("");
  element.firstChild.appendData(fresh.join(""));
  lengths.set(element, have + fresh.length);
  for (const hook of hooks.text) hook(element);
}

function drop(target) {
  const element = document.getElementById(target);
  if (!element) return;
  for (const hook of hooks.drop) hook(element);
  element.remove();
}

// What the reader opened stays open, what the reader closed stays closed.
function keepOpen(old, fresh) {
  const before = detailsOf(old);
  const after = detailsOf(fresh);
  before.forEach((details, index) => {
    if (details.dataset.touched === undefined) return;
    const other = (details.id && after.find((each) => each.id === details.id)) || after[index];
    if (!other) return;
    other.open = details.open;
    other.dataset.touched = "";
  });
}

const detailsOf = (element) => [...(element.matches("details") ? [element] : []), ...element.querySelectorAll("details")];

function pathTo(root, element) {
  const path = [];
  for (let node = element; node !== root; node = node.parentElement) {
    path.unshift([...node.parentElement.children].indexOf(node));
  }
  return path;
}

const at = (root, path) => path.reduce((node, index) => node?.children[index], root);

document.addEventListener("click", (event) => {
  const details = event.target.closest?.("summary")?.parentElement;
  if (details) details.dataset.touched = "";
});
