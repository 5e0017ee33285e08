// Mounting: what gives a part of the page its behaviour, whenever and by whomever that part was put there.
//
// A module makes a pane: a name for the console, the selector of its roots, and what to do with one. Each has a
// script element of its own, so one that cannot be fetched or fails at once stops no other; nor does one that
// fails at a root.

import { complain, Listeners, withSelf } from "./common.js";

// Told of every part of the page that is new, with its own root.
export const parts = new Listeners("a new part");

// Of the page as a whole, because an observer of it is one: which kinds there are, and what is mounted where.
const kinds = [];
const mounted = new Map(); // root → the kinds that are mounted on it; emptied of roots that left the page

new MutationObserver(changed).observe(document, { childList: true, subtree: true });

// `build(root, signal)` is called once for each root. What it sets up ends with the signal: when the root leaves
// the page, or when build fails halfway.
export function pane(name, selector, build) {
  const lives = new WeakMap(); // root → what ends it
  return register(name, selector, {
    mount(root) {
      if (lives.has(root)) return;
      const life = new AbortController();
      lives.set(root, life);
      build(root, life.signal);
    },
    unmount(root) {
      lives.get(root)?.abort();
      lives.delete(root);
    },
  });
}

// Any module with mount(root) and unmount(root). What the page has of its roots is mounted at once.
export function register(name, selector, module) {
  const kind = { name, selector, module };
  kinds.push(kind);
  withSelf(document, selector).forEach((root) => begin(kind, root));
  return module;
}

// Mount what a part of the page has and is not mounted yet.
export function mountAll(part) {
  const any = kinds.map(({ selector }) => selector).join(",");
  if (any && (part.matches?.(any) || part.querySelector(any))) {
    for (const kind of kinds) withSelf(part, kind.selector).forEach((root) => begin(kind, root));
  }
  parts.tell(part);
}

// Every swap is seen here, htmx's, a step in the history, a reloaded region's and the socket's alike, before
// anything is painted: no swap has to remember to call.
function changed(records) {
  if (records.some(({ removedNodes }) => removedNodes.length)) sweep();
  const fresh = new Set(records.flatMap(({ addedNodes }) => [...addedNodes].filter(isNew)));
  for (const part of fresh) if (!within(part, fresh)) mountAll(part);
}

const isNew = (node) => node.nodeType === Node.ELEMENT_NODE && node.isConnected;

function within(part, others) {
  for (let up = part.parentElement; up; up = up.parentElement) if (others.has(up)) return true;
  return false;
}

// An element that only moved is connected again, and keeps what it has.
function sweep() {
  for (const [root, here] of mounted) {
    if (root.isConnected) continue;
    mounted.delete(root);
    for (const kind of here) end(kind, root);
  }
}

function begin(kind, root) {
  const here = mounted.get(root) || new Set();
  if (here.has(kind)) return;
  mounted.set(root, here.add(kind));
  try {
    kind.module.mount(root);
  } catch (error) {
    complain(kind.name, error);
    end(kind, root);
  }
}

function end(kind, root) {
  try {
    kind.module.unmount(root);
  } catch (error) {
    complain(kind.name, error);
  }
}
