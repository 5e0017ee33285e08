// The page's one websocket: feeds with their cursors, requests with their answers, and coming back.
//
// A feed is declared in HTML: <div data-feed="/assistant/x" data-codec="timeline" data-after="cursor">.
// Its cursor moves with every patch, so after a lost connection it goes on where it was. Several elements may
// declare the same one: the socket follows it once.
//
// There is one socket for the page and all its panes, so what is known of it stands in this module.

import { Listeners } from "./common.js";
import { apply, on } from "./patch.js";
import { reload } from "./region.js";

const AGAIN = 2000; // milliseconds until a feed is asked for again that could not be had
const SIGN_IN = 4401; // close code of the server: nobody is signed in any more
const FIRST_WAIT = 400; // milliseconds before the first try to reconnect
const LONGEST_WAIT = 15000;
const ANSWER_WAIT = 20000; // a request without an answer for so long has failed

const feeds = new Map(); // "stream\ncodec" → { id, stream, codec, after, elements, current }
const waiting = new Map(); // ref → { resolve, reject, timer }
const listeners = new Listeners("the connection's state"); // called with "open", "lost", "closed"

let socket = null;
let tries = 0;
let timer = 0;
let lastId = 0;
let address = "";
let state = "";
let scanning = false;

export const isOpen = () => socket?.readyState === WebSocket.OPEN;

// Tell of the connection, and at once what it is: whoever asks may have been fetched after it opened.
export function onState(listener, signal) {
  listeners.add(listener, signal);
  if (state) listener(state);
}

export function start(path) {
  address = path.replace(/^\//, `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`);
  connect();
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
  addEventListener("pagehide", () => socket?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
  // A text of which a piece is missing.
  on("gap", reload);
}

// An element that declares a feed came or went: look once at all that the page has now.
export const mount = soon;
export const unmount = soon;

function soon() {
  if (scanning) return;
  scanning = true;
  queueMicrotask(scan);
}

function scan() {
  scanning = false;
  const declared = new Map();
  for (const element of document.querySelectorAll("[data-feed]")) {
    const key = `${element.dataset.feed}\n${element.dataset.codec}`;
    declared.set(key, [...(declared.get(key) || []), element]);
  }
  for (const [key, feed] of feeds) {
    if (declared.has(key)) continue;
    feeds.delete(key);
    send({ op: "unfollow", id: feed.id });
  }
  for (const [key, elements] of declared) declare(key, elements);
}

// A new element shows the stream as it was at its own cursor: what came later than the earliest is asked for.
// Elements that have it already get it twice, which changes nothing.
function declare(key, elements) {
  const known = feeds.get(key);
  const fresh = elements.filter((element) => !known?.elements.includes(element));
  const stay = fresh.length < elements.length;
  const cursors = fresh.map((element) => element.dataset.after).filter(Boolean);
  const after = [...cursors, ...(stay && known.after ? [known.after] : [])].sort()[0];
  if (stay && after === known.after) {
    known.elements = elements;
    return;
  }
  const { feed: stream, codec } = elements[0].dataset;
  const feed = { id: ++lastId, stream, codec, after: after || elements[0].dataset.after, elements, current: false };
  feeds.set(key, feed);
  follow(feed);
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
const byId = (id) => [...feeds.values()].find((feed) => feed.id === id);

function follow(feed) {
  const { id, stream, codec, after } = feed;
  feed.current = false;
  send({ op: "follow", id, stream, codec, after });
}

function tell(news) {
  state = news;
  listeners.tell(news);
}

function receive(frame) {
  if (frame.op === "patch") return patched(frame);
  if (frame.op === "ok") return settle(frame.ref, "resolve", frame);
  if (frame.op === "following") return followed(byId(frame.id), frame.cursor);
  if (frame.op === "lagged") return lagged(feeds.get(`${frame.stream}\n${frame.codec}`));
  if (frame.op === "reset") return reset(byId(frame.id));
  if (frame.op === "error") return failed(frame);
  return undefined;
}

// What was under way when we asked anew belongs to the feed before: it may lie beyond what we asked for.
function patched({ stream, codec, cursor, changes }) {
  const feed = feeds.get(`${stream}\n${codec}`);
  if (!feed?.current || cursor <= feed.after) return;
  feed.after = cursor;
  for (const element of feed.elements) element.dataset.after = cursor;
  for (const scope of scopesOf(feed)) apply(changes, { stream, codec, scope });
}

// A region follows what it declares; what is declared outside of one concerns the whole page.
function scopesOf({ elements }) {
  const regions = new Set(elements.map((element) => element.closest("[data-region]") || document));
  return regions.has(document) ? [document] : regions;
}

function failed(frame) {
  if (frame.ref && waiting.has(frame.ref)) return settle(frame.ref, "reject", frame);
  const feed = frame.id ? byId(frame.id) : null;
  if (!feed) return console.warn("live:", frame.code, frame.message);
  if (frame.code === "unavailable") return setTimeout(() => byId(feed.id) && follow(feed), AGAIN);
  for (const element of feed.elements) {
    element.dispatchEvent(new CustomEvent("live:refused", { bubbles: true, detail: frame }));
  }
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
  if (!feed) return;
  feed.current = true;
  feed.after ||= cursor;
}

function lagged(feed) {
  if (feed) follow(feed);
}

// Too far behind to catch up. A feed that stands in no region has nothing to reload: it goes on from now,
// and whoever renders from it asks for what it missed.
function reset(feed) {
  if (!feed) return;
  const inRegions = feed.elements.filter((element) => element.closest("[data-region]"));
  inRegions.forEach(reload);
  if (inRegions.length) return;
  feed.after = undefined;
  follow(feed);
  document.dispatchEvent(new CustomEvent("live:skipped", { detail: feed }));
}
