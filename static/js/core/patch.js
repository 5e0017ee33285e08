// Apply changes to the page: put an element, append text, let a text grow, drop an element.
//
// The order of children is decided by their data-order, never by the order of arrival. An element with
// data-keep is a shell: once there it is not replaced, because others lie in it; one with data-drop-empty goes
// when the last of them does. One with data-blocks grows at its end: what stands at its beginning and is still the
// same stays in place, with the reader's focus and selection.
//
// Ids are looked for in the `scope` of the changes alone, the region that follows them: a page may have several.

import { attempt, Listeners } from "./common.js";
import { append, grow } from "./growing.js";

const NEARBY = 32; // how many siblings are looked at one by one before the rest is halved

// What listens to changes: `before` and `after` all of them, and each `put`, `text`, `drop`, and a `gap` in a text.
const hooks = Object.fromEntries(["before", "put", "text", "drop", "after", "gap"].map((kind) => [kind, new Listeners(kind)]));
const template = document.createElement("template");

export const on = (kind, listener, signal) => hooks[kind].add(listener, signal);

// A change that fails is said in the console; those after it are applied all the same.
export function apply(changes, context = {}) {
  hooks.before.tell(context);
  for (const change of changes) attempt("a change", () => applyOne(change, context));
  hooks.after.tell(context);
}

function applyOne([kind, target, ...rest], context) {
  if (kind === "put") put(target, ...rest, context);
  else if (kind === "text" || kind === "grow") lengthen(kind, find(target, context), rest, context);
  else if (kind === "drop") drop(target, context);
}

const find = (id, { scope = document }) => scope.querySelector(`#${CSS.escape(id)}`);

function put(target, parentId, order, html, insert, context) {
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  if (!fresh) return;
  const old = find(target, context);
  const parent = parentId ? find(parentId, context) : null;
  let placed = false;
  if (old) placed = replace(old, fresh, order);
  else if (insert && parent) placed = place(parent, fresh, order);
  const element = old && old.isConnected ? old : fresh;
  if (placed && window.htmx) window.htmx.process(fresh);
  hooks.put.tell(element, { placed, inserted: placed && !old, context });
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

// Sorted by data-order. Most arrive last, many in a list of the newest first; in a wide family the rest is halved.
function place(parent, fresh, order) {
  fresh.remove();
  if (order) fresh.dataset.order = order;
  parent.insertBefore(fresh, follower(parent, order));
  return true;
}

const precedes = (child, order) => child.dataset.order === undefined || child.dataset.order <= order;

// The child that an element with this order stands before; null at the end.
function follower(parent, order) {
  let before = null;
  let looked = 0;
  for (let child = parent.lastElementChild; child; child = child.previousElementSibling) {
    if (precedes(child, order)) return before;
    before = child;
    looked += 1;
    if (looked === NEARBY) return halved(parent.children, order);
  }
  return before;
}

function halved(children, order) {
  if (!precedes(children[0], order)) return children[0];
  let [low, high] = [1, children.length - NEARBY];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (precedes(children[middle], order)) low = middle + 1;
    else high = middle;
  }
  return children[high];
}

function lengthen(kind, element, rest, context) {
  if (!element) return undefined;
  const news = kind === "text" ? append(element, ...rest) : grow(element, ...rest);
  if (news === null) return hooks.gap.tell(element, context);
  if (kind === "text") return hooks.text.tell(element, context);
  return hooks.put.tell(element, { placed: news, inserted: false, context });
}

function drop(target, context) {
  const element = find(target, context);
  if (!element) return;
  hooks.drop.tell(element, context);
  const shell = element.parentElement?.closest("[data-drop-empty]");
  element.remove();
  if (shell && !shell.querySelector("[data-order]")) shell.remove();
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
