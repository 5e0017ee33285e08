// Live tables: a changed cell flashes, and the count of rows moves along.

import { hooks } from "../core/patch.js";

function count(body, step) {
  const label = body && document.querySelector(`[data-count-of="${CSS.escape(body.id)}"]`);
  if (label) label.textContent = String(Number(label.textContent) + step);
}

function arrived(element, { placed, inserted, context }) {
  if (!placed || !element.matches("tr.row") || context.earlier) return;
  if (inserted) count(element.parentElement, 1);
  for (const cell of inserted ? [element] : element.querySelectorAll(".changed")) cell.classList.add("flash");
}

export function start() {
  hooks.put.push(arrived);
  hooks.drop.push((element) => element.matches("tr.row") && count(element.parentElement, -1));
}
