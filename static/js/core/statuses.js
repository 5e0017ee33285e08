// What this page knows of agents: their status, the end of their lease and their title, by address.
//
// It is known of the agent, wherever it is shown, so it is kept once for the page.

import { Listeners } from "./common.js";

const known = new Map(); // address → { status, lease, title }
const listeners = new Listeners("an agent's status");

export const onStatus = (listener, signal) => listeners.add(listener, signal);
export const knownOf = (url) => known.get(url);
export const everybody = () => [...known];

// Keep what is new of an agent. False if all of it was known.
export function learn(url, agent) {
  const before = known.get(url);
  if (before && before.status === agent.status && before.lease === agent.lease && before.title === agent.title) return false;
  known.set(url, agent);
  listeners.tell(url, agent);
  return true;
}
