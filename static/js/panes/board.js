// A board: cards that are being written, cards that the ruling cites, and who waits for whom.

import { hooks } from "../core/patch.js";

const GHOST = 1500; // milliseconds that a finished draft waits for its card

const board = () => document.querySelector("[data-board]");

// -- drafts: the text of an argument, read out of JSON that is not finished

// The object that a beginning of its JSON describes so far; the last text may be cut anywhere.
export function partial(raw) {
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

function drawDraft(draft) {
  const place = board();
  if (!place || draft.dataset.draft !== place.dataset.collection) return;
  const found = partial(draft.querySelector("[data-raw]").textContent) || {};
  const { columns, text } = place.dataset;
  if (typeof found[text] === "string") draft.querySelector("[data-draft-text]").textContent = plain(found[text]);
  const column = [...place.querySelectorAll("[data-drafts]")].find((each) => each.dataset.drafts === String(found[columns]));
  if (!column) return;
  draft.classList.add(`side-${column.dataset.number}`);
  draft.querySelector("[data-draft-side]").textContent = column.dataset.drafts;
  const cell = freeCell(place, column.dataset.number) || column;
  if (cell !== draft.parentElement) cell.append(draft);
}

// Where the card will lie: beside the opponent's card of the same round, if that is there already.
function freeCell(place, number) {
  const cells = place.querySelectorAll(`.board-rows .board-cell.side-${number}`);
  return [...cells].find((cell) => !cell.querySelector(".card:not(.draft)"));
}

// The card and the end of its draft come by two streams, in either order. Whichever is first, the reader sees
// one text turn into the other: a draft that has gone stands in for its card until that is there.
function keepGhost(draft) {
  if (!draft.matches("[data-draft]") || !draft.parentElement.closest(".board")) return;
  const ghost = draft.cloneNode(true);
  ghost.querySelector("[data-raw]").remove();
  ghost.removeAttribute("id");
  ghost.removeAttribute("data-draft");
  draft.after(ghost);
  setTimeout(() => ghost.remove(), GHOST);
}

// The card is there: what stood in for it goes. True if there was something.
function relieve(card) {
  const author = card.querySelector(".card-foot a")?.getAttribute("href") || "";
  const drafts = [...document.querySelectorAll(".board .draft")].filter((draft) => author.startsWith(`${draft.dataset.agentUrl}/`));
  for (const draft of drafts) {
    if (draft.id) document.getElementById("drafts").append(draft);
    else draft.remove();
  }
  return drafts.length > 0;
}

// The marks of markdown would only flicker: they become bold and quotes when the card is there.
const plain = (text) => text.replace(/\*\*|^#{1,6} |^> ?/gm, "");

// -- citations

function cite() {
  const cited = new Set();
  for (const link of document.querySelectorAll("a.cite")) {
    const id = link.hash.slice(1);
    const card = document.getElementById(id);
    link.classList.toggle("cite-dead", !card);
    if (card) cited.add(id);
  }
  for (const card of document.querySelectorAll(".board .card[id]")) card.classList.toggle("cited", cited.has(card.id));
}

// While the work goes on, an agent that does nothing waits for the others; afterwards it is idle.
function phase() {
  const phases = document.querySelector(".phases");
  const list = document.querySelector("[data-idle-word]");
  if (!phases || !list) return;
  const busy = !phases.hasAttribute("data-over") && phases.querySelector(".phase-past");
  list.dataset.idleWord = busy ? "waiting" : "idle";
  for (const status of list.querySelectorAll('[data-status="idle"] .status-word')) status.textContent = list.dataset.idleWord;
}

function arrived(element, { placed, inserted }) {
  if (!placed || !board()) return;
  if (element.matches("[data-draft]")) drawDraft(element);
  else if (element.matches(".card")) {
    if (inserted && !relieve(element)) element.dataset.arrived = "";
    cite();
  } else if (element.matches(".board-row")) {
    document.querySelectorAll(".board [data-draft]").forEach(drawDraft);
  } else if (element.matches(".ruling")) cite();
  else if (element.matches(".phases")) phase();
}

function all() {
  if (!board()) return;
  document.querySelectorAll("[data-draft]").forEach(drawDraft);
  cite();
  phase();
}

export function start() {
  hooks.put.push(arrived);
  hooks.drop.push(keepGhost);
  hooks.text.push((element) => {
    const draft = element.closest("[data-draft]");
    if (draft) drawDraft(draft);
  });
  document.addEventListener("region:loaded", all);
  all();
}
