// The keyboard: one key for each place, never while somebody types.

import { pane } from "./mount.js";

// The link of the page that a key leads to, after a `g`.
const linkOf = (key) => document.querySelector(`a[data-go="${CSS.escape(key)}"]`);
const SOON = 1500; // milliseconds that a key after "g" may take

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]");
}

function act(key) {
  const tabs = document.querySelectorAll(".tabs a");
  if (key === "/") return focus("[data-search]") || go(linkOf("a"));
  if (key === "c") return focus("[data-composer] textarea, [data-start] textarea");
  if (key === "?") return dialog();
  if (/^[1-9]$/.test(key) && tabs[key - 1]) {
    tabs[key - 1].click();
    return true;
  }
  return false;
}

function place(key) {
  const parent = key === "p" && document.querySelector("[data-parent]");
  if (parent) parent.click();
  else go(linkOf(key));
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

export const { mount, unmount } = pane("keys", "body", (body, signal) => {
  let going = false; // "g" was pressed

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
    if (going) {
      going = false;
      place(event.key);
    } else if (event.key === "g") {
      going = true;
      setTimeout(() => { going = false; }, SOON);
      event.preventDefault();
    } else if (act(event.key)) event.preventDefault();
  }

  document.addEventListener("keydown", pressed, { signal });
  document.addEventListener("click", (event) => event.target.closest("[data-show-keys]") && dialog(), { signal });
});
