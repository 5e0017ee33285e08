// A board: cards that are being written, cards that the ruling cites, and who waits for whom.

import { pane } from "../core/mount.js";
import { on } from "../core/patch.js";

const GHOST = 1500; // milliseconds that a finished draft waits for its card

// -- drafts: the text of an argument, read out of JSON that is not finished

// The object that a beginning of its JSON describes so far; the last text may be cut anywhere.
function partial(raw) {
  const { text, closers, inString } = balance(raw);
  const open = inString ? `${text.replace(/\\(u[0-9a-fA-F]{0,3})?$/, "")}"` : text.replace(/[\s,]+$/, "");
  for (const end of ["", ":null", "null"]) {
    try {
      return JSON.parse(open + end + closers);
    } catch {
      // A key without its value, or a word cut off: try the next ending.
    }
  }
  return null;
}

function balance(raw) {
  const stack = [];
  let inString = false;
  for (let i = 0; i < raw.length; i += 1) {
    const sign = raw[i];
    if (inString) {
      if (sign === "\\") i += 1;
      else if (sign === '"') inString = false;
    } else if (sign === '"') inString = true;
    else if (sign === "{" || sign === "[") stack.unshift(sign === "{" ? "}" : "]");
    else if (sign === "}" || sign === "]") stack.shift();
  }
  return { text: raw, closers: stack.join(""), inString };
}

// The marks of markdown would only flicker: they become bold and quotes when the card is there.
const plain = (text) => text.replace(/\*\*|^#{1,6} |^> ?/gm, "");

class Board {
  constructor(root, signal) {
    this.root = root;
    this.region = root.closest("[data-region]") || root;
    on("put", (element, how) => this.arrived(element, how), signal);
    on("drop", (element) => this.keepGhost(element), signal);
    on("text", (element) => this.written(element), signal);
    this.renderDrafts(this.region);
    this.cite();
    this.phase();
  }

  arrived(element, { placed, inserted }) {
    if (!placed || !this.region.contains(element)) return;
    if (element.matches("[data-draft]")) this.renderDraft(element);
    else if (element.matches(".card")) {
      if (inserted && !this.relieve(element)) element.dataset.arrived = "";
      this.cite();
    } else if (element.matches(".board-row")) this.renderDrafts(this.root);
    else if (element.matches(".ruling")) this.cite();
    else if (element.matches(".phases")) this.phase();
  }

  written(element) {
    const draft = element.closest("[data-draft]");
    if (draft && this.region.contains(draft)) this.renderDraft(draft);
  }

  // -- drafts among the cards

  renderDrafts(part) {
    part.querySelectorAll("[data-draft]").forEach((draft) => this.renderDraft(draft));
  }

  renderDraft(draft) {
    const { collection, columns, text } = this.root.dataset;
    if (draft.dataset.draft !== collection) return;
    const found = partial(draft.querySelector("[data-raw]").textContent) || {};
    if (typeof found[text] === "string") draft.querySelector("[data-draft-text]").textContent = plain(found[text]);
    const column = [...this.root.querySelectorAll("[data-drafts]")].find((each) => each.dataset.drafts === String(found[columns]));
    if (!column) return;
    draft.classList.add(`side-${column.dataset.number}`);
    draft.querySelector("[data-draft-side]").textContent = column.dataset.drafts;
    const cell = this.freeCell(column.dataset.number) || column;
    if (cell !== draft.parentElement) cell.append(draft);
  }

  // Where the card will lie: beside the opponent's card of the same round, if that is there already.
  freeCell(number) {
    const cells = this.root.querySelectorAll(`.board-rows .board-cell.side-${number}`);
    return [...cells].find((cell) => !cell.querySelector(".card:not(.draft)"));
  }

  // The card and the end of its draft come by two streams, in either order. Whichever is first, the reader sees
  // one text turn into the other: a draft that has gone stands in for its card until that is there.
  keepGhost(draft) {
    if (!draft.matches("[data-draft]") || !this.root.contains(draft)) return;
    const ghost = draft.cloneNode(true);
    ghost.querySelector("[data-raw]").remove();
    ghost.removeAttribute("id");
    ghost.removeAttribute("data-draft");
    draft.after(ghost);
    setTimeout(() => ghost.remove(), GHOST);
  }

  // The card is there: what stood in for it goes. True if there was something.
  relieve(card) {
    const author = card.querySelector(".card-foot a")?.getAttribute("href") || "";
    const drafts = [...this.root.querySelectorAll(".draft")].filter((draft) => author.startsWith(draft.dataset.agentPage));
    for (const draft of drafts) {
      if (draft.id) this.region.querySelector(`#${CSS.escape(draft.dataset.pool)}`)?.append(draft);
      else draft.remove();
    }
    return drafts.length > 0;
  }

  // -- citations and phases

  cite() {
    const cited = new Set();
    for (const link of this.region.querySelectorAll("a.cite")) {
      const card = this.root.querySelector(`#${CSS.escape(link.hash.slice(1))}`);
      link.classList.toggle("cite-dead", !card);
      if (card) cited.add(card);
    }
    for (const card of this.root.querySelectorAll(".card[id]")) card.classList.toggle("cited", cited.has(card));
  }

  // While the work goes on, an agent that does nothing waits for the others; afterwards it is idle.
  phase() {
    const phases = this.region.querySelector(".phases");
    const list = this.region.querySelector("[data-idle-word]");
    if (!phases || !list) return;
    const busy = !phases.hasAttribute("data-over") && phases.querySelector(".phase-past");
    list.dataset.idleWord = busy ? "waiting" : "idle";
    for (const status of list.querySelectorAll('[data-status="idle"] .status-word')) status.textContent = list.dataset.idleWord;
  }
}

export const { mount, unmount } = pane("board", "[data-board]", (root, signal) => new Board(root, signal));
