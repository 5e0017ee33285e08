// Every dot and title of an agent, wherever it stands on the page, from the presence feed.
//
// A running agent whose lease has run out without news is asked for; if nobody works on it, it says so.

import { withSelf } from "../core/common.js";
import { pane, parts } from "../core/mount.js";
import { on } from "../core/patch.js";
import { everybody, knownOf, learn } from "../core/statuses.js";

const WORDS = { error: "failed", waiting: "waiting for a worker" };
const GRACE = 3000; // milliseconds after the end of a lease before we doubt
const ASK_AGAIN = 10000;
const FEW = 4; // agents that are looked for one by one; more of them in one walk over the page
const MOST_ASKED = 50;

function read(line) {
  const status = line.querySelector("[data-status]");
  return {
    status: status?.dataset.status || "",
    lease: status?.dataset.leaseUntil || "",
    title: line.dataset.title || line.dataset.line.split("/").pop(),
  };
}

function show(element, { status, lease }) {
  if (!status) return;
  const word = (status === "idle" && element.closest("[data-idle-word]")?.dataset.idleWord) || WORDS[status] || status;
  const label = element.querySelector(".status-word");
  if (element.dataset.status !== status) element.dataset.status = status;
  if (lease) element.dataset.leaseUntil = lease;
  else delete element.dataset.leaseUntil;
  if (label && label.textContent !== word) label.textContent = word;
}

function name(element, { title }) {
  if (title && element.textContent !== title) element.textContent = title;
  if (title && element.matches("h1 [data-agent-title]")) document.title = `${title} · ${document.body.dataset.site}`;
}

// What a part of the page shows of agents that are known; what it says of others is learned from it.
function render(part, selector = "[data-agent], [data-agent-title]") {
  for (const element of withSelf(part, selector)) {
    const { agent: url, agentTitle, status, leaseUntil: lease = "" } = element.dataset;
    const agent = knownOf(url ?? agentTitle);
    if (agentTitle !== undefined) agent && name(element, agent);
    else if (agent) show(element, agent);
    else if (status) learn(url, { status, lease, title: "" });
  }
}

const marked = (url) => `[data-agent="${CSS.escape(url)}"], [data-agent-title="${CSS.escape(url)}"]`;

class Agents {
  news = new Set(); // addresses that the changes being applied told of
  asked = 0;

  constructor(body, signal) {
    on("put", (element, { placed }) => this.told(element, placed), signal);
    on("after", () => this.spread(), signal);
    parts.add((part) => this.arrived(part), signal);
    document.addEventListener("live:skipped", () => this.askAll(), { signal });
    const clocks = [setInterval(() => this.doubt(), 1000), setInterval(() => this.poll(), ASK_AGAIN / 2)];
    signal.addEventListener("abort", () => clocks.forEach(clearInterval));
    this.arrived(document);
  }

  // A line tells of its agent even if it is put nowhere: a page need not list whom it shows. A row that was there
  // and stays as it was tells nothing.
  told(element, placed) {
    if (placed || !element.isConnected) this.lines(element);
  }

  lines(element) {
    for (const line of withSelf(element, "[data-line]")) {
      if (learn(line.dataset.line, read(line))) this.news.add(line.dataset.line);
    }
  }

  arrived(part) {
    this.lines(part);
    render(part);
    this.spread();
  }

  // Show what is new wherever it is shown.
  spread() {
    const urls = [...this.news];
    this.news.clear();
    if (urls.length) render(document, urls.length > FEW ? undefined : urls.map(marked).join(", "));
  }

  async doubt() {
    const now = Date.now();
    if (now - this.asked <= ASK_AGAIN) return;
    const overdue = everybody().filter(([, { status, lease }]) => status === "running" && lease && Date.parse(lease) + GRACE < now);
    if (overdue.length) await this.ask(overdue.map(([url]) => url));
  }

  // Somebody who may see an agent but not its owner's presence gets no feed of it: ask now and then.
  poll() {
    if (document.querySelector("[data-poll-agents]") && !document.hidden) this.askAll();
  }

  askAll() {
    return this.ask(everybody().map(([url]) => url));
  }

  async ask(urls) {
    this.asked = Date.now();
    const query = new URLSearchParams(urls.slice(0, MOST_ASKED).map((url) => ["url", url]));
    try {
      const answer = await fetch(`${document.body.dataset.statuses}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { agents } = await answer.json();
      for (const [url, { overdue, status, lease_until: lease, title, slug }] of Object.entries(agents)) {
        const agent = { status: overdue ? "waiting" : status, lease: lease || "", title: title || slug };
        if (learn(url, agent)) this.news.add(url);
      }
      this.spread();
    } catch {
      // The connection's banner says what is wrong.
    }
  }
}

export const { mount, unmount } = pane("agents", "body", (body, signal) => new Agents(body, signal));
