// The tree of agents: fold and unfold, how many are folded away, arrow keys.
//
// A family may be thousands wide and hundreds deep. A change therefore looks at its own row and those above it,
// never at all rows; and below 512 elements a browser's parser puts what lies deeper beside what it belongs into,
// so that a row may be without its line, a line without its row, and a link without either.

import { pane } from "../core/mount.js";
import { on } from "../core/patch.js";
import { recall, remember } from "../core/store.js";

const MOST_FOLDED = 500; // that are remembered
const ARROWS = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };

const child = (element, selector) => [...(element?.children || [])].find((each) => each.matches(selector));
const lineOf = (row) => child(row, ".agent-row-line");
const buttonOf = (row) => child(lineOf(row), ".fold");
const hasKids = (row) => Boolean(child(row, ".agent-kids")?.firstElementChild);
const rowOf = (line) => (line?.parentElement.matches(".agent-row") ? line.parentElement : null);

// What this browser has folded is one thing for all trees and tabs: it is read when it is needed.
function keep(url, away) {
  const folded = new Set(recall("folded", []));
  if (away) folded.add(url);
  else folded.delete(url);
  remember("folded", [...folded].slice(-MOST_FOLDED));
  return folded;
}

// "worker +2": what a folded row hides.
function more(row, away) {
  const link = lineOf(row).querySelector(".agent-link");
  let label = link?.querySelector(".agent-more");
  if (!away || !link) {
    label?.remove();
    return;
  }
  const counts = new Map();
  for (const line of child(row, ".agent-kids").querySelectorAll("[data-line]")) {
    counts.set(line.dataset.type, (counts.get(line.dataset.type) || 0) + 1);
  }
  label ||= link.appendChild(Object.assign(document.createElement("span"), { className: "agent-more" }));
  label.textContent = [...counts].map(([type, count]) => `${type} +${count}`).join(", ");
}

class Tree {
  touched = new Set(); // rows that the changes being applied concern

  constructor(root, signal) {
    this.root = root;
    this.folded = new Set(recall("folded", []));
    root.addEventListener("keydown", (event) => this.pressed(event), { signal });
    root.addEventListener("click", (event) => this.clicked(event), { signal });
    on("put", (element) => this.touch(element), signal);
    on("drop", (element) => this.touch(element), signal);
    on("after", () => this.settle(), signal);
    root.querySelectorAll(".agent-row").forEach((row) => this.show(row));
    root.querySelectorAll("[data-line]").forEach((line) => this.mark(line));
  }

  touch(element) {
    if (!this.root.contains(element)) return;
    const row = element.closest(".agent-row");
    if (!row) return;
    this.touched.add(row);
    const line = lineOf(row)?.querySelector("[data-line]");
    if (line) this.mark(line);
    for (let up = row.parentElement.closest(".agent-row"); up; up = up.parentElement.closest(".agent-row")) {
      if (this.touched.has(up)) return;
      this.touched.add(up);
    }
  }

  settle() {
    for (const row of this.touched) if (row.isConnected) this.show(row);
    this.touched.clear();
  }

  mark(line) {
    if (this.root.dataset.current) line.toggleAttribute("data-here", line.dataset.line === this.root.dataset.current);
  }

  show(row) {
    const button = buttonOf(row);
    if (!button) return;
    const away = this.folded.has(button.dataset.fold) && hasKids(row);
    row.toggleAttribute("data-folded", away);
    button.setAttribute("aria-expanded", String(!away));
    more(row, away);
  }

  fold(row, away) {
    const button = buttonOf(row);
    if (!button) return;
    this.folded = keep(button.dataset.fold, away);
    this.show(row);
  }

  clicked(event) {
    const button = event.target.closest("[data-fold]");
    const row = button && rowOf(button.parentElement);
    if (row && buttonOf(row) === button) this.fold(row, button.getAttribute("aria-expanded") === "true");
  }

  pressed(event) {
    const control = event.target.closest(".agent-link, .fold");
    if (!control || !ARROWS[event.key]) return undefined;
    event.preventDefault();
    const line = control.closest(".agent-row-line");
    const row = rowOf(line);
    const folded = row?.hasAttribute("data-folded");
    if (event.key === "ArrowLeft" && row && !folded && hasKids(row)) return this.fold(row, true);
    if (event.key === "ArrowRight" && folded) return this.fold(row, false);
    const links = [...this.root.querySelectorAll(".agent-link")];
    const step = ARROWS[event.key];
    const link = control.matches(".agent-link") ? control : line?.querySelector(".agent-link");
    let next = links.indexOf(link) + step;
    while (links[next] && !links[next].checkVisibility()) next += step;
    links[next]?.focus();
    return undefined;
  }
}

export const { mount, unmount } = pane("tree", "[data-tree]", (root, signal) => new Tree(root, signal));
