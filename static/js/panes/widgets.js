// Small things: the form that starts an assistant, menus, dismissed notices, forms that send themselves, details
// on wide screens, failed requests.

import { draft, forgetDraft } from "../core/drafting.js";
import { pane } from "../core/mount.js";
import { remember } from "../core/store.js";

function start(form, signal) {
  const area = form.querySelector("textarea");
  const button = form.querySelector("[type=submit]");
  draft(area, signal);
  form.addEventListener("submit", () => {
    forgetDraft(area);
    button.disabled = true;
  }, { signal });
  // Coming back by the browser's button must not find the form switched off.
  addEventListener("pageshow", () => { button.disabled = false; }, { signal });
  for (const example of form.parentElement.querySelectorAll("[data-example]")) {
    example.addEventListener("click", () => {
      area.value = example.textContent;
      area.dispatchEvent(new Event("input"));
      area.focus();
    }, { signal });
  }
}

function menu(details, signal) {
  const clicked = ({ target }) => {
    if (!details.contains(target) || target.closest(".menu-body a, .menu-body button")) details.open = false;
  };
  const pressed = (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.preventDefault();
    details.open = false;
    details.querySelector("summary").focus();
  };
  document.addEventListener("click", clicked, { signal });
  document.addEventListener("keydown", pressed, { signal });
}

function notice(element, signal) {
  element.addEventListener("click", ({ target }) => {
    if (!target.closest("[data-dismiss]")) return;
    remember(`dismissed:${element.dataset.notice}`, true);
    document.documentElement.dataset.dismissed = element.dataset.notice;
  }, { signal });
}

function filters(form, signal) {
  form.querySelector("[type=submit]").hidden = true;
  form.addEventListener("change", () => form.requestSubmit(), { signal });
}

function wideOpen(details, signal) {
  const wide = matchMedia("(min-width: 64.01rem)");
  const open = () => { details.open = wide.matches; };
  wide.addEventListener("change", open, { signal });
  open();
}

// A request of htmx that failed says so where its answer would have been.
function problems(body, signal) {
  const said = (event) => {
    const status = event.detail.xhr?.status;
    const text = document.createElement("p");
    text.className = "field-error";
    text.setAttribute("role", "alert");
    text.textContent = status ? `This could not be loaded (${status}). Reload the page to try again.` : "No connection: this could not be loaded.";
    (event.detail.target || event.target).replaceChildren(text);
  };
  document.addEventListener("htmx:responseError", said, { signal });
  document.addEventListener("htmx:sendError", said, { signal });
}

const WIDGETS = [
  ["[data-start]", start],
  ["details.menu", menu],
  ["[data-notice]", notice],
  ["[data-auto-submit]", filters],
  ["[data-wide-open]", wideOpen],
  ["body", problems],
];

export const { mount, unmount } = pane("widgets", WIDGETS.map(([selector]) => selector).join(", "), (root, signal) => {
  for (const [selector, begin] of WIDGETS) if (root.matches(selector)) begin(root, signal);
});
