// The page's one websocket: feeds with their cursors, requests with their answers, and coming back.
//
// A feed is declared in HTML: <div data-feed="/assistant/x" data-view="timeline" data-after="cursor">.
// Its cursor moves with every patch, so after a lost connection it goes on where it was.

import { apply } from "./patch.js";
import { reload } from "./region.js";

const SIGN_IN = 4401; // close code of the server: nobody is signed in any more
const FIRST_WAIT = 400; // milliseconds before the first try to reconnect
const LONGEST_WAIT = 15000;
const ANSWER_WAIT = 20000; // a request without an answer for so long has failed

const feeds = new Map(); // "stream\nview" → { id, stream, view, after, element }
const waiting = new Map(); // ref → { resolve, reject, timer }
const listeners = new Set(); // called with "open", "lost", "closed"

let socket = null;
let tries = 0;
let timer = 0;
let lastId = 0;
let address = "";

export const isOpen = () => socket?.readyState === WebSocket.OPEN;
export const onState = (listener) => listeners.add(listener);

export function start(path) {
  address = path.replace(/^\//, `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`);
  scan();
  connect();
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
  addEventListener("pagehide", () => socket?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
}

// Follow what the page declares, and leave what is not on it any more.
export function scan() {
  const declared = new Map();
  for (const element of document.querySelectorAll("[data-feed]")) {
    const { feed: stream, view, after } = element.dataset;
    const key = `${stream}\n${view}`;
    if (declared.has(key)) continue;
    const known = feeds.get(key);
    if (known?.element === element) declared.set(key, known);
    else declared.set(key, { id: ++lastId, stream, view, after, element });
  }
  for (const [key, feed] of feeds) {
    if (!declared.has(key)) send({ op: "unfollow", id: feed.id });
  }
  const fresh = [...declared].filter(([key, feed]) => feeds.get(key) !== feed);
  feeds.clear();
  for (const [key, feed] of declared) feeds.set(key, feed);
  for (const [, feed] of fresh) follow(feed);
}

// Ask for something; resolves when the server said ok, rejects with its error or when the connection is lost.
export function request(frame) {
  return new Promise((resolve, reject) => {
    if (!isOpen()) return reject({ code: "offline", message: "The connection is lost." });
    const timeout = setTimeout(() => settle(frame.ref, "reject", { code: "timeout", message: "No answer." }), ANSWER_WAIT);
    waiting.set(frame.ref, { resolve, reject, timer: timeout });
    send(frame);
  });
}

// Open another connection, with the cookies as they are now: who is signed in may have changed.
export function renew() {
  const old = socket;
  tries = 0;
  socket = null;
  old?.close();
  giveUp();
  connect();
}

function connect() {
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  clearTimeout(timer);
  socket = new WebSocket(address);
  socket.addEventListener("open", opened);
  socket.addEventListener("message", (event) => event.target === socket && receive(JSON.parse(event.data)));
  socket.addEventListener("close", closed);
}

function opened() {
  tries = 0;
  for (const feed of feeds.values()) follow(feed);
  tell("open");
}

function closed(event) {
  if (event.target !== socket) return undefined; // it was renewed
  giveUp();
  if (event.code === SIGN_IN) return tell("closed");
  tries += 1;
  // Full jitter: after a restart of the server not everybody comes back at the same moment.
  const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** tries);
  timer = setTimeout(connect, FIRST_WAIT + Math.random() * longest);
  return tell("lost");
}

function giveUp() {
  for (const ref of [...waiting.keys()]) settle(ref, "reject", { code: "offline", message: "The connection is lost." });
}

function hurry() {
  if (isOpen()) return;
  tries = 0;
  connect();
}

const send = (frame) => isOpen() && socket.send(JSON.stringify(frame));
const follow = ({ id, stream, view, after }) => send({ op: "follow", id, stream, view, after });
const tell = (state) => listeners.forEach((listener) => listener(state));
const byId = (id) => [...feeds.values()].find((feed) => feed.id === id);

function receive(frame) {
  if (frame.op === "patch") return patched(frame);
  if (frame.op === "ok") return settle(frame.ref, "resolve", frame);
  if (frame.op === "following") return followed(byId(frame.id), frame.cursor);
  if (frame.op === "lagged") return lagged(feeds.get(`${frame.stream}\n${frame.view}`));
  if (frame.op === "reset") return reset(byId(frame.id));
  if (frame.op === "error") return failed(frame);
  return undefined;
}

function patched({ stream, view, cursor, changes }) {
  const feed = feeds.get(`${stream}\n${view}`);
  if (!feed || cursor <= feed.after) return;
  feed.after = cursor;
  feed.element.dataset.after = cursor;
  apply(changes, { stream, view, feed });
}

function failed(frame) {
  if (frame.ref && waiting.has(frame.ref)) return settle(frame.ref, "reject", frame);
  const feed = frame.id ? byId(frame.id) : null;
  if (feed) feed.element.dispatchEvent(new CustomEvent("live:refused", { bubbles: true, detail: { ...frame, feed } }));
  else console.warn("live:", frame.code, frame.message);
  return undefined;
}

function settle(ref, how, value) {
  const found = waiting.get(ref);
  if (!found) return;
  waiting.delete(ref);
  clearTimeout(found.timer);
  found[how](value);
}

function followed(feed, cursor) {
  if (feed && !feed.after) feed.after = cursor;
}

function lagged(feed) {
  if (feed) follow(feed);
}

// Too far behind to catch up. A feed that stands in no region has nothing to reload: it goes on from now,
// and whoever draws from it asks for what it missed.
async function reset(feed) {
  if (!feed) return;
  if (feed.element.closest("[data-region]")) {
    if (await reload(feed.element)) scan();
    return;
  }
  feed.after = undefined;
  follow(feed);
  document.dispatchEvent(new CustomEvent("live:skipped", { detail: feed }));
}
