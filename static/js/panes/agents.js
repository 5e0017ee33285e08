// Every dot and title of an agent, wherever it stands on the page, from the directory's feed.
//
// A running agent whose lease has run out without news is asked for; if nobody works on it, it says so.

import { hooks } from "../core/patch.js";

const WORDS = { error: "failed", waiting: "waiting for a worker" };
const GRACE = 3000; // milliseconds after the end of a lease before we doubt
const ASK_AGAIN = 10000;

const known = new Map(); // url → { status, lease, title, type }
let asked = 0;

export const statusOf = (url) => known.get(url)?.status || "";
export const onStatus = (listener) => listeners.add(listener);
const listeners = new Set();

function read(line) {
  const status = line.querySelector("[data-status]");
  return {
    status: status?.dataset.status || "",
    lease: status?.dataset.leaseUntil || "",
    title: line.dataset.title || line.dataset.line.split("/").pop(),
  };
}

export function learn(url, agent) {
  known.set(url, agent);
  for (const element of document.querySelectorAll(`[data-agent="${CSS.escape(url)}"]`)) show(element, agent);
  for (const element of document.querySelectorAll(`[data-agent-title="${CSS.escape(url)}"]`)) name(element, agent);
  for (const listener of listeners) listener(url, agent);
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
  if (title && element.matches("h1 [data-agent-title]")) document.title = `${title} · Agents Site`;
}

// What a new part of the page shows of agents that are known already.
export function sync(root) {
  for (const line of withSelf(root, "[data-line]")) learn(line.dataset.line, read(line));
  for (const element of withSelf(root, "[data-agent]")) {
    const agent = known.get(element.dataset.agent);
    if (agent) show(element, agent);
    else if (element.dataset.status) known.set(element.dataset.agent, { status: element.dataset.status, lease: element.dataset.leaseUntil || "", title: "" });
  }
  for (const element of withSelf(root, "[data-agent-title]")) {
    const agent = known.get(element.dataset.agentTitle);
    if (agent) name(element, agent);
  }
}

export const withSelf = (root, selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];

async function doubt() {
  const now = Date.now();
  const overdue = [...known].filter(([, agent]) => agent.status === "running" && agent.lease && Date.parse(agent.lease) + GRACE < now);
  if (overdue.length && now - asked > ASK_AGAIN) await ask(overdue.map(([url]) => url));
}

export async function ask(urls) {
  asked = Date.now();
  const query = new URLSearchParams(urls.slice(0, 50).map((url) => ["url", url]));
  try {
    const answer = await fetch(`/agents/status/?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { agents } = await answer.json();
    for (const [url, agent] of Object.entries(agents)) {
      const status = agent.overdue ? "waiting" : agent.status;
      learn(url, { status, lease: agent.lease_until || "", title: agent.title || agent.slug });
    }
  } catch {
    // The connection's banner says what is wrong.
  }
}

// Somebody who may see an agent but not its owner's directory gets no feed of it: ask now and then.
function poll() {
  if (document.querySelector("[data-poll-agents]") && !document.hidden) ask([...known.keys()]);
}

export function start() {
  sync(document);
  hooks.put.push((element) => sync(element));
  document.addEventListener("region:loaded", (event) => sync(event.detail.region));
  document.addEventListener("live:skipped", () => ask([...known.keys()]));
  setInterval(doubt, 1000);
  setInterval(poll, ASK_AGAIN / 2);
}
