// A live table: a changed cell flashes, and the count of rows moves along.

import "../core/earlier.js";
import { pane } from "../core/mount.js";
import { on } from "../core/patch.js";

export const { mount, unmount } = pane("table", ".collection", (root, signal) => {
  const isRow = (element) => element.matches("tr.row") && root.contains(element);

  function count(step) {
    const label = root.querySelector("[data-count-of]");
    const known = Number(label?.textContent ?? NaN); // none if there are more than the server counts: 10,000+
    if (Number.isInteger(known)) label.textContent = String(known + step);
  }

  function arrived(element, { placed, inserted, context }) {
    if (!placed || context.earlier || !isRow(element)) return;
    if (inserted) count(1);
    for (const cell of inserted ? [element] : element.querySelectorAll(".changed")) cell.classList.add("flash");
  }

  on("put", arrived, signal);
  on("drop", (element) => isRow(element) && count(-1), signal);
});
