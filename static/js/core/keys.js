// The keyboard: one key for each place, never while somebody types.

let pending = "";

const PLACES = { a: "/agents/", s: "/shared/", h: "/" };

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]");
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
  if (pending === "g") {
    pending = "";
    const parent = event.key === "p" && document.querySelector("[data-parent]");
    if (parent) parent.click();
    else if (PLACES[event.key]) location.assign(PLACES[event.key]);
    return;
  }
  if (act(event.key)) event.preventDefault();
}

function act(key) {
  const tabs = document.querySelectorAll(".tabs a");
  if (key === "/") return focus("[data-search]") || go("/agents/");
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

function go(place) {
  location.assign(place);
  return true;
}

function dialog() {
  document.getElementById("keys").showModal();
  return true;
}

export function start() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => event.target.closest("[data-show-keys]") && dialog());
}
