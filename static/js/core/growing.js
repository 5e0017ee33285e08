// A text while it is written: blocks of HTML that are whole, and behind them, in an element with data-tail, what is
// being written, as it came. It is counted in code points, as the server does; data-begin says where it begins.

const ends = new WeakMap(); // element of raw text → the number of code points to its end

const points = (text) => Array.from(text);
const beginOf = (raw) => Number(raw.dataset.begin || 0);
const endOf = (raw) => ends.get(raw) ?? beginOf(raw) + points(raw.textContent).length;

// Append what is new of a piece that has `start` code points before it. Null if something before it is missing.
export function append(raw, text, start) {
  const have = endOf(raw);
  if (start > have) return null;
  const fresh = points(text).slice(have - start);
  if (!raw.firstChild) raw.append("");
  raw.firstChild.appendData(fresh.join(""));
  ends.set(raw, have + fresh.length);
  return true;
}

// Let blocks take the place of what is written before `begin`; below 0, the text is complete. Returns whether that
// was news, and null if the blocks do not follow those that are there.
export function grow(text, keep, html, into, begin, tailHtml) {
  const tail = text.querySelector(":scope > [data-tail]");
  if (!tail) return false; // complete already
  const raw = rawOf(tail);
  if (begin >= 0 && begin <= beginOf(raw)) return false;
  const blocks = [...text.children].filter((child) => child !== tail);
  const complete = begin < 0;
  if (complete ? blocks.length < keep : blocks.length !== keep || begin > endOf(raw)) return null;
  for (const block of blocks.splice(keep)) block.remove();
  const fresh = parsed(html);
  if (into) holder(blocks.at(-1)).append(...holder(fresh.shift()).childNodes);
  tail.before(...fresh.flatMap((block) => [block, "\n"]));
  if (complete) finish(text, tail);
  else shorten(raw, begin, tail, tailHtml);
  return true;
}

const rawOf = (tail) => (tail.matches("[data-raw]") ? tail : tail.querySelector("[data-raw]"));

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

// What holds the items of a list, or the rows of a table.
const holder = (block) => block.querySelector(":scope > table > tbody") || block;

function finish(text, tail) {
  tail.remove();
  text.classList.remove("streaming");
  text.dataset.finished = "";
}

// What is written from `begin` on stays; in another element, if it is another kind of thing.
function shorten(raw, begin, tail, tailHtml) {
  const end = endOf(raw);
  const rest = points(raw.textContent).slice(begin - beginOf(raw)).join("");
  const other = tailHtml ? parsed(tailHtml)[0] : tail;
  if (other !== tail) tail.replaceWith(other);
  const now = rawOf(other);
  now.textContent = rest;
  now.dataset.begin = begin;
  ends.set(now, end);
}
