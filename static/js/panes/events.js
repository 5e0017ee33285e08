// The raw log: only what the filter asks for, and not more than the page can bear.

import { pane } from "../core/mount.js";
import { on } from "../core/patch.js";

const MOST = 1000;

// The oldest goes, and "Earlier events" goes on from the one before it.
function forget(list, oldest, last) {
  oldest.remove();
  const button = list.querySelector("[hx-get*='before=']");
  if (!button) return;
  const { offset } = last.dataset;
  button.setAttribute("hx-get", button.getAttribute("hx-get").replace(/before=\d+/, `before=${offset}`));
  window.htmx?.process(button);
}

export const { mount, unmount } = pane("events", "[data-events]", (list, signal) => {
  const { events: wanted, hiddenTypes } = list.dataset;
  const hidden = new Set(hiddenTypes.split(" "));
  const isHidden = (type) => (wanted ? wanted !== "all" && type !== wanted : hidden.has(type));

  function arrived(element, { inserted }) {
    if (!inserted || element.parentElement !== list || !element.matches("li.event")) return;
    if (isHidden(element.dataset.type)) element.remove();
    if (list.childElementCount <= MOST) return;
    const shown = list.querySelectorAll("li.event");
    if (shown.length > MOST) forget(list, shown[shown.length - 1], shown[shown.length - 2]);
  }

  on("put", arrived, signal);
});
