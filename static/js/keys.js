// The keyboard: one key for each place, never while somebody types.

let pending = "";

// The link of the page that a key leads to, after a `g`.
const place = (key) => document.querySelector(`a[data-go="${CSS.escape(key)}"]`);

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]");
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
  if (pending === "g") {
    pending = "";
    const parent = event.key === "p" && document.querySelector("[data-parent]");
    if (parent) parent.click();
    else go(place(event.key));
    return;
  }
  if (act(event.key)) event.preventDefault();
}

function act(key) {
  const tabs = document.querySelectorAll(".tabs a");
  if (key === "/") return focus("[data-search]") || go(place("a"));
  if (key === "c") return focus("[data-composer] textarea, [data-start] textarea");
  if (key === "?") return dialog();
  if (key === "g") {
    pending = "g";
    setTimeout(() => { pending = ""; }, 1500);
    return true;
  }
  if (/^[1-9]$/.test(key) && tabs[key - 1]) {
    tabs[key - 1].click();
    return true;
  }
  return false;
}

function focus(selector) {
  const element = document.querySelector(selector);
  element?.focus();
  return Boolean(element);
}

function go(link) {
  if (link) location.assign(link.href);
  return Boolean(link);
}

function dialog() {
  document.getElementById("keys").showModal();
  return true;
}

export function start() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => event.target.closest("[data-show-keys]") && dialog());
}
