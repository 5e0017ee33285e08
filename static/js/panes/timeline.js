// The timeline: stick to the end only if the reader is there, earlier rows without a jump, sums of runs.

import { near, withSelf } from "../core/common.js";
import { earlier } from "../core/earlier.js";
import { pane } from "../core/mount.js";
import { on } from "../core/patch.js";
import { isReloaded } from "../core/region.js";

const NEAR = 40; // pixels from the end that count as being there
const TOP = 60; // what lies above is behind the head of the page
const AHEAD = 200; // pixels from the beginning at which earlier rows are loaded
const LONGEST = 300; // characters of an answer that are read out
const ITEM = /^(msg|run|step|text|reasoning|tool|error|wake|signal|child)-/;

// What scrolls the timeline: the page, unless it stands in a box that scrolls.
function scrollerOf(root) {
  for (let box = root; box && box !== document.body; box = box.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(box).overflowY)) return box;
  }
  return document.scrollingElement;
}

class Timeline {
  there = true; // whether the reader is at the end: what grows there is followed
  sticking = false;
  anchor = null;
  unseen = 0;

  constructor(root, signal) {
    this.root = root;
    this.region = root.closest("[data-region]") || root;
    this.page = scrollerOf(root);
    this.whole = this.page === document.scrollingElement;
    on("before", (context) => this.before(context), signal);
    on("put", (element, how) => this.arrived(element, how), signal);
    on("after", (context) => this.after(context), signal);
    this.listen(signal);
    withSelf(root, ".run").forEach(total);
    this.toEnd();
    if (!isReloaded(root)) this.toTarget();
  }

  listen(signal) {
    if (this.whole) {
      history.scrollRestoration = "manual";
      signal.addEventListener("abort", () => { history.scrollRestoration = "auto"; });
    }
    (this.whole ? window : this.page).addEventListener("scroll", () => this.scrolled(), { passive: true, signal });
    addEventListener("resize", () => this.stay(), { signal });
    addEventListener("hashchange", () => this.toTarget(), { signal });
    this.latest = near(this.region, "[data-latest]");
    this.latest?.addEventListener("click", () => this.toEnd(), { signal });
    // The composer says that a message was written, and that its words took more room.
    this.root.addEventListener("timeline:end", () => this.toEnd(), { signal });
    this.root.addEventListener("timeline:stay", () => this.stay(), { signal });
    const dock = near(this.region, ".dock");
    if (!dock) return;
    const sizes = new ResizeObserver(() => this.stay());
    sizes.observe(dock);
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  concerns({ scope }) {
    return (scope || document).contains(this.root);
  }

  distance() {
    const height = this.whole ? innerHeight : this.page.clientHeight;
    return this.page.scrollHeight - height - this.page.scrollTop;
  }

  toEnd() {
    this.page.scrollTop = this.page.scrollHeight;
    this.there = true;
    this.unseen = 0;
    this.showLatest();
  }

  // Whoever was at the end stays there when something other than the log takes room: the composer that grows, a
  // phone's keyboard, the word that a message was not sent.
  stay() {
    if (this.there) this.toEnd();
  }

  before(context) {
    if (!this.concerns(context)) return;
    this.sticking = this.distance() <= NEAR;
    this.anchor = this.sticking && !context.earlier ? null : this.findAnchor();
  }

  // The item at the upper edge of what the reader sees: it must stay where it is.
  findAnchor() {
    const box = this.root.getBoundingClientRect();
    for (let y = Math.max(box.top + 2, TOP); y < innerHeight; y += 24) {
      const found = document.elementFromPoint(box.left + box.width / 2, y)?.closest("[data-order][id]");
      if (found && !found.matches(".run") && this.root.contains(found)) return { id: found.id, top: found.getBoundingClientRect().top };
    }
    return null;
  }

  after(context) {
    if (!this.concerns(context)) return;
    context.spent?.remove();
    if (this.sticking && !context.earlier) {
      this.toEnd();
      return;
    }
    const element = this.anchor && this.find(this.anchor.id);
    const moved = element ? element.getBoundingClientRect().top - this.anchor.top : 0;
    if (moved) this.page.scrollTop += moved;
    this.showLatest();
  }

  arrived(element, { placed, inserted, context }) {
    if (!placed || !this.root.contains(element)) return;
    if (inserted && !context.earlier && !this.sticking && !element.matches(".step, .run-steps")) this.unseen += 1;
    const run = element.closest(".run");
    if (run) total(run);
    if (!context.earlier && element.matches("[data-finished]")) announce(element.textContent);
  }

  showLatest() {
    const button = this.latest;
    if (!button) return;
    const away = this.distance();
    if (away <= NEAR) this.unseen = 0;
    button.hidden = away <= NEAR;
    button.querySelector("[data-latest-count]").textContent = this.unseen ? String(this.unseen) : "";
  }

  earlier(until) {
    return earlier(this.region.querySelector("[data-earlier]"), until);
  }

  scrolled() {
    const away = this.distance();
    this.there = away <= NEAR;
    this.showLatest();
    if (this.page.scrollTop < AHEAD && away > NEAR) this.earlier();
  }

  find(id) {
    return this.root.querySelector(`#${CSS.escape(id)}`);
  }

  // A link to one item: it is opened and marked, and loaded first if it lies before what is here.
  async toTarget() {
    const fragment = decodeURIComponent(location.hash.slice(1));
    if (!fragment) return;
    // A link says which item (`tool-3.0-s1-c0`); its element says in which stream too (`tool-17-3.0-s1-c0`).
    const id = fragment.replace("-", `-${this.root.dataset.stream}-`);
    if (!this.find(id) && ITEM.test(fragment)) await this.earlier(fragment);
    const element = this.find(id);
    if (!element) return;
    if (element.matches("details")) element.open = true;
    element.scrollIntoView({ block: "center" });
    this.there = this.distance() <= NEAR;
    document.querySelectorAll(".found").forEach((each) => each.classList.remove("found"));
    element.classList.add("found");
  }
}

function announce(text) {
  document.getElementById("announce").textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

// -- what a run has come to: its last finished step says so, however many of its steps are shown

const short = (count) => (count < 1000 ? String(count) : count < 999500 ? `${(count / 1000).toFixed(count < 9950 ? 1 : 0)}k` : `${(count / 1e6).toFixed(1)}M`);

function total(run) {
  const label = run.querySelector("[data-total]");
  if (!label) return;
  const steps = [...run.querySelectorAll("[data-step]")];
  const last = steps.findLastIndex((step) => step.dataset.totalSteps);
  const known = last < 0 ? {} : steps[last].dataset;
  const after = steps.slice(last + 1);
  const sum = (name, before) => after.reduce((all, step) => all + Number(step.dataset[name] || 0), Number(before || 0));
  const count = Number(known.totalSteps || 0) + after.length;
  const [input, output, cost] = [sum("in", known.totalIn), sum("out", known.totalOut), sum("cost", known.totalCost)];
  const models = [...new Set(steps.map((step) => step.dataset.model).filter(Boolean))];
  const parts = [`${count} step${count === 1 ? "" : "s"}`];
  if (input || output) parts.push(`${short(input)} in`, `${short(output)} out`);
  if (cost > 0) parts.push(`$${cost.toFixed(cost < 0.1 && cost ? 4 : 2)}`);
  label.textContent = [...parts, ...models].join(" · ");
}

export const { mount, unmount } = pane("timeline", "[data-timeline]", (root, signal) => new Timeline(root, signal));
