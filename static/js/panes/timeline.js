// The timeline: stick to the end only if the reader is there, earlier rows without a jump, sums of runs.

import { withSelf } from "./agents.js";
import { apply, hooks } from "../core/patch.js";
import { reload } from "../core/region.js";
import { scan } from "../core/live.js";

const NEAR = 40; // pixels from the end that count as being there

const page = document.scrollingElement;
let there = true; // whether the reader is at the end: what grows there is followed
let sticking = false;
let anchor = null;
let unseen = 0;
let loading = null;

const timeline = () => document.querySelector("[data-timeline]");
const distance = () => page.scrollHeight - innerHeight - page.scrollTop;
const concerns = ({ view }) => view === "timeline" && timeline();

export function toEnd() {
  page.scrollTop = page.scrollHeight;
  there = true;
  unseen = 0;
  showLatest();
}

// Whoever was at the end stays there when something other than the log takes room: the composer that grows, a
// phone's keyboard, the word that a message was not sent.
export function stay() {
  if (there && timeline()) toEnd();
}

function before(context) {
  if (!concerns(context)) return;
  sticking = distance() <= NEAR;
  anchor = sticking && !context.earlier ? null : findAnchor();
}

// The item at the upper edge of what the reader sees: it must stay where it is.
function findAnchor() {
  const box = timeline().getBoundingClientRect();
  for (let y = Math.max(box.top + 2, 60); y < innerHeight; y += 24) {
    const found = document.elementFromPoint(box.left + box.width / 2, y)?.closest("#timeline [data-order][id]");
    if (found && !found.matches(".run")) return { id: found.id, top: found.getBoundingClientRect().top };
  }
  return null;
}

function after(context) {
  if (!concerns(context)) return;
  context.spent?.remove();
  if (sticking && !context.earlier) return toEnd();
  const element = anchor && document.getElementById(anchor.id);
  const moved = element ? element.getBoundingClientRect().top - anchor.top : 0;
  if (moved) page.scrollTop += moved;
  showLatest();
}

function arrived(element, { placed, inserted, context }) {
  if (!concerns(context) || !placed) return;
  if (inserted && !context.earlier && !sticking && !element.matches(".step")) unseen += 1;
  const run = element.closest(".run");
  if (run) total(run);
  if (!context.earlier && element.matches("[data-finished]")) announce(element.textContent);
}

function announce(text) {
  document.getElementById("announce").textContent = text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function showLatest() {
  const button = document.querySelector("[data-latest]");
  if (!button) return;
  const away = distance();
  if (away <= NEAR) unseen = 0;
  button.hidden = away <= NEAR;
  button.querySelector("[data-latest-count]").textContent = unseen ? String(unseen) : "";
}

// -- sums of a run's steps

const short = (count) => (count < 1000 ? String(count) : count < 999500 ? `${(count / 1000).toFixed(count < 9950 ? 1 : 0)}k` : `${(count / 1e6).toFixed(1)}M`);

function total(run) {
  const steps = [...run.querySelectorAll("[data-step]")];
  const sum = (name) => steps.reduce((all, step) => all + Number(step.dataset[name] || 0), 0);
  const cost = sum("cost");
  const models = [...new Set(steps.map((step) => step.dataset.model).filter(Boolean))];
  const parts = [`${steps.length} step${steps.length === 1 ? "" : "s"}`];
  if (sum("in") || sum("out")) parts.push(`${short(sum("in"))} in`, `${short(sum("out"))} out`);
  if (cost > 0) parts.push(`$${cost.toFixed(cost < 0.1 && cost ? 4 : 2)}`);
  run.querySelector("[data-total]").textContent = [...parts, ...models].join(" · ");
}

// -- earlier rows

export async function earlier(until = "") {
  const button = document.querySelector("[data-earlier]");
  if (!button || loading) return loading;
  button.disabled = true;
  loading = load(button, until).finally(() => { loading = null; });
  return loading;
}

async function load(button, until) {
  const address = new URL(button.dataset.earlier, location.href);
  address.searchParams.set("before", button.dataset.before);
  if (until) address.searchParams.set("until", until);
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const { changes, before: further } = await answer.json();
    const { view } = document.querySelector("[data-timeline]")?.dataset || { view: "table" };
    // A button with nothing left to load goes with the rows: the room that it took must not move the reader.
    apply(changes, { view, earlier: true, spent: further ? null : button });
    if (further) button.dataset.before = further;
    else button.remove();
  } catch {
    button.textContent = "Could not be loaded. Try again";
  }
  button.disabled = false;
}

// -- links to one item

async function toTarget() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id || !timeline()) return false;
  if (!document.getElementById(id) && /^(msg|run|step|text|reasoning|tool|error|wake|signal|child)-/.test(id)) await earlier(id);
  const element = document.getElementById(id);
  if (!element) return false;
  if (element.matches("details")) element.open = true;
  element.scrollIntoView({ block: "center" });
  there = distance() <= NEAR;
  document.querySelectorAll(".found").forEach((each) => each.classList.remove("found"));
  element.classList.add("found");
  return true;
}

export function start() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-earlier]")) earlier();
    if (event.target.closest("[data-latest]")) toEnd();
  });
  hooks.gap.push(async (element) => (await reload(element)) && scan());
  if (!timeline()) return;
  history.scrollRestoration = "manual";
  hooks.before.push(before);
  hooks.put.push(arrived);
  hooks.after.push(after);
  const sums = () => withSelf(timeline(), ".run").forEach(total);
  sums();
  toEnd();
  toTarget();
  addEventListener("hashchange", toTarget);
  addEventListener("scroll", scrolled, { passive: true });
  addEventListener("resize", stay);
  new ResizeObserver(stay).observe(document.querySelector(".dock"));
  document.addEventListener("region:loaded", () => { sums(); toEnd(); });
}

function scrolled() {
  there = distance() <= NEAR;
  showLatest();
  if (page.scrollTop < 200 && distance() > NEAR) earlier();
}
