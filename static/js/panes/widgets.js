// Small things: growing text areas, drafts, examples, dismissed notices, menus, details on wide screens.

import { recall, remember } from "../core/store.js";

export function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

const draftKey = (area) => `draft:${area.dataset.draftKey}`;

export function forgetDraft(area) {
  remember(draftKey(area), null);
}

function draft(area) {
  const kept = recall(draftKey(area), "");
  if (kept && !area.value) area.value = kept;
  grow(area);
  area.addEventListener("input", () => {
    remember(draftKey(area), area.value);
    grow(area);
  });
}

// Enter sends; Shift-Enter breaks; Enter that ends an input method's word does neither.
export const isSend = (event) => event.key === "Enter" && !event.shiftKey && !event.altKey && !event.isComposing;

function startForm(form) {
  const area = form.querySelector("textarea");
  area.addEventListener("keydown", (event) => {
    if (!isSend(event)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    forgetDraft(area);
    form.querySelector("[type=submit]").disabled = true;
  });
  // Coming back by the browser's button must not find the form switched off.
  addEventListener("pageshow", () => { form.querySelector("[type=submit]").disabled = false; });
}

function clicked(event) {
  const example = event.target.closest("[data-example]");
  if (example) {
    const area = document.querySelector("[data-start] textarea");
    area.value = example.textContent;
    area.dispatchEvent(new Event("input"));
    area.focus();
  }
  if (event.target.closest("[data-dismiss]")) {
    const notice = event.target.closest("[data-notice]");
    remember(`dismissed:${notice.dataset.notice}`, true);
    document.documentElement.dataset.dismissed = notice.dataset.notice;
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-body a, .menu-body button")) menu.open = false;
  }
}

export function start() {
  document.querySelectorAll("textarea[data-draft-key]").forEach(draft);
  document.querySelectorAll("[data-start]").forEach(startForm);
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  for (const form of document.querySelectorAll("[data-auto-submit]")) {
    form.querySelector("[type=submit]").hidden = true;
    form.addEventListener("change", () => form.requestSubmit());
  }
  const wide = matchMedia("(min-width: 64.01rem)");
  const open = () => document.querySelectorAll("[data-wide-open]").forEach((each) => { each.open = wide.matches; });
  wide.addEventListener("change", open);
  open();
  document.addEventListener("htmx:responseError", problem);
  document.addEventListener("htmx:sendError", problem);
}

// A request of htmx that failed says so where its answer would have been.
function problem(event) {
  const status = event.detail.xhr?.status;
  const text = document.createElement("p");
  text.className = "field-error";
  text.setAttribute("role", "alert");
  text.textContent = status ? `This could not be loaded (${status}). Reload the page to try again.` : "No connection: this could not be loaded.";
  (event.detail.target || event.target).replaceChildren(text);
}
