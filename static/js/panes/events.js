// The raw log: only what the filter asks for, and not more than the page can bear.

import { hooks } from "../core/patch.js";

const MOST = 1000;

function arrived(element, { inserted }) {
  if (!inserted || !element.matches("li.event")) return;
  const list = element.parentElement;
  const { events: wanted, hiddenTypes } = list.dataset;
  const { type } = element.dataset;
  const hidden = wanted === "all" ? false : wanted ? type !== wanted : hiddenTypes.split(" ").includes(type);
  if (hidden) element.remove();
  const shown = list.querySelectorAll("li.event");
  if (shown.length > MOST) forget(list, shown[shown.length - 1], shown[shown.length - 2]);
}

// The oldest goes, and "Earlier events" goes on from the one before it.
function forget(list, oldest, last) {
  oldest.remove();
  const button = list.querySelector("[hx-get*='before=']");
  if (!button) return;
  const offset = last.id.replace("event-", "");
  button.setAttribute("hx-get", button.getAttribute("hx-get").replace(/before=\d+/, `before=${offset}`));
  window.htmx?.process(button);
}

export function start() {
  hooks.put.push(arrived);
}
