// The tree of agents: fold and unfold, how many are folded away, arrow keys.

import { hooks } from "../core/patch.js";
import { recall, remember } from "../core/store.js";

const folded = new Set(recall("folded", []));

function fold(row, away) {
  const button = row.querySelector(":scope > .agent-row-line > .fold");
  if (away) folded.add(button.dataset.fold);
  else folded.delete(button.dataset.fold);
  remember("folded", [...folded].slice(-500));
  show(row);
}

function show(row) {
  const button = row.querySelector(":scope > .agent-row-line > .fold");
  const away = folded.has(button.dataset.fold) && Boolean(row.querySelector(":scope > .agent-kids > li"));
  row.toggleAttribute("data-folded", away);
  button.setAttribute("aria-expanded", String(!away));
  more(row, away);
}

// "worker +2": what a folded row hides.
function more(row, away) {
  const link = row.querySelector(":scope > .agent-row-line .agent-link");
  let label = link.querySelector(".agent-more");
  if (!away) {
    label?.remove();
    return;
  }
  const counts = new Map();
  for (const line of row.querySelectorAll(".agent-kids [data-line]")) {
    counts.set(line.dataset.type, (counts.get(line.dataset.type) || 0) + 1);
  }
  label ||= link.appendChild(Object.assign(document.createElement("span"), { className: "agent-more" }));
  label.textContent = [...counts].map(([type, count]) => `${type} +${count}`).join(", ");
}

export function refresh() {
  document.querySelectorAll("[data-tree] .agent-row").forEach(show);
  for (const tree of document.querySelectorAll("[data-current]")) {
    for (const line of tree.querySelectorAll("[data-line]")) line.toggleAttribute("data-here", line.dataset.line === tree.dataset.current);
  }
}

function pressed(event) {
  const link = event.target.closest?.("[data-tree] .agent-link, [data-tree] .fold");
  if (!link || !["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  const row = link.closest(".agent-row");
  if (event.key === "ArrowLeft" && !row.hasAttribute("data-folded") && row.querySelector(".agent-kids > li")) return fold(row, true);
  if (event.key === "ArrowRight" && row.hasAttribute("data-folded")) return fold(row, false);
  const links = [...link.closest("[data-tree]").querySelectorAll(".agent-link")].filter((each) => each.checkVisibility());
  const here = links.indexOf(row.querySelector(".agent-link"));
  const step = event.key === "ArrowUp" || event.key === "ArrowLeft" ? -1 : 1;
  links[here + step]?.focus();
}

export function start() {
  refresh();
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]");
    if (button) fold(button.closest(".agent-row"), button.getAttribute("aria-expanded") === "true");
  });
  hooks.after.push(({ view }) => view === "directory" && refresh());
  document.addEventListener("region:loaded", refresh);
}
