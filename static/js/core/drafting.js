// Text areas in which people write: they grow, keep what is not sent yet, and send at Enter.

import { recall, remember } from "./store.js";

const draftKey = (area) => `draft:${area.dataset.draftKey}`;

export function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

export function forgetDraft(area) {
  remember(draftKey(area), null);
}

// Enter sends; Shift-Enter breaks; Enter that ends an input method's word does neither.
const isSend = (event) => event.key === "Enter" && !event.shiftKey && !event.altKey && !event.isComposing;

export function draft(area, signal) {
  const kept = recall(draftKey(area), "");
  if (kept && !area.value) area.value = kept;
  grow(area);
  area.addEventListener("input", () => {
    remember(draftKey(area), area.value);
    grow(area);
  }, { signal });
  area.addEventListener("keydown", (event) => {
    if (!isSend(event)) return;
    event.preventDefault();
    area.form.requestSubmit();
  }, { signal });
}
