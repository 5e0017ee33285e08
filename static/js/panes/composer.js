// Sending: a message is on the page at once and waits there until the log has it.
//
// What is not acknowledged stays in this browser and goes out again after a reconnect or a reload, with the
// same key; the server takes each key once, so nothing is ever said twice.

import { onStatus, statusOf } from "./agents.js";
import { isOpen, onState, request } from "../core/live.js";
import { hooks } from "../core/patch.js";
import { recall, remember } from "../core/store.js";
import { stay, toEnd } from "./timeline.js";
import { forgetDraft, grow, isSend } from "./widgets.js";

const MOST_BYTES = 60000; // of a message; the server's frames may hold 64 KB
const LAST = "~"; // sorts after every offset

let form = null;
let url = "";
let outbox = [];

const keep = () => remember(`outbox:${url}`, outbox.length ? outbox : null);
const element = (entry) => document.getElementById(`msg-${entry.key}`);

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function submitted(event) {
  event.preventDefault();
  const area = form.querySelector("textarea");
  const text = area.value.trim();
  if (!text) return;
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MOST_BYTES) {
    complain(`This message has ${bytes.toLocaleString()} bytes; ${MOST_BYTES.toLocaleString()} are allowed. Send less at once.`);
    return;
  }
  complain("");
  const entry = { key: newKey(), text };
  outbox.push(entry);
  keep();
  area.value = "";
  forgetDraft(area);
  grow(area);
  draw(entry);
  toEnd();
  deliver(entry);
}

function draw(entry) {
  const timeline = document.getElementById("timeline");
  if (!timeline || element(entry)) return;
  const message = document.getElementById("pending-message").content.firstElementChild.cloneNode(true);
  message.id = `msg-${entry.key}`;
  message.dataset.order = LAST;
  message.dataset.pending = entry.key;
  message.querySelector(".message-body").textContent = entry.text;
  timeline.append(message);
}

async function deliver(entry) {
  if (!isOpen()) return fail(entry, "not sent: no connection. It goes out when the connection is back.", "later");
  mark(entry, "sending", false);
  try {
    await request({ op: "send", ref: entry.key, to: url, key: entry.key, payload: entry.text, type: null });
    sent(entry);
  } catch (error) {
    const later = error.code === "offline" || error.code === "timeout";
    fail(entry, later ? "not confirmed. It goes out again when the connection is back." : error.message, later ? "later" : "");
  }
  return undefined;
}

function sent(entry) {
  outbox = outbox.filter((each) => each.key !== entry.key);
  keep();
  mark(entry, "sent", false);
}

function fail(entry, text, when) {
  entry.later = when === "later";
  mark(entry, text, true);
}

function mark(entry, text, failed) {
  const message = element(entry);
  if (!message?.dataset.pending) return;
  message.classList.toggle("message-failed", failed);
  message.querySelector("[data-pending-state]").textContent = text;
  message.querySelector("[data-retry]").hidden = !failed;
  message.querySelector("[data-discard]").hidden = !failed;
  stay();
}

function clicked(event) {
  const message = event.target.closest("[data-pending]");
  const entry = message && outbox.find((each) => each.key === message.dataset.pending);
  if (entry && event.target.closest("[data-retry]")) deliver(entry);
  if (entry && event.target.closest("[data-discard]")) {
    outbox = outbox.filter((each) => each !== entry);
    keep();
    message.remove();
    const area = form.querySelector("textarea");
    if (!area.value) area.value = entry.text;
  }
}

// The log has it: the real message has replaced the pending one.
function arrived(message) {
  if (!message.id?.startsWith("msg-")) return;
  const entry = outbox.find((each) => `msg-${each.key}` === message.id);
  if (entry) sent(entry);
}

function restore() {
  outbox = recall(`outbox:${url}`, []).filter((entry) => !document.getElementById(`msg-${entry.key}`));
  keep();
  outbox.forEach(draw);
  // They go out when the socket is open; that is a moment from now.
  for (const entry of outbox) entry.later = true;
}

function complain(text) {
  const place = form.querySelector("[data-composer-error]");
  place.textContent = text;
  place.hidden = !text;
}

// -- stopping

async function stop() {
  const button = form.querySelector("[data-stop]");
  if (button.hidden || button.disabled) return;
  button.disabled = true;
  button.textContent = "Stopping";
  try {
    await request({ op: "signal", ref: `stop-${newKey()}`, to: url, signal: "SIGINT" });
    complain("");
  } catch (error) {
    complain(`Could not stop it: ${error.message}`);
    showStop(statusOf(url));
  }
}

function showStop(status) {
  const button = form.querySelector("[data-stop]");
  button.hidden = status !== "running" || form.dataset.maySignal !== "yes";
  button.disabled = false;
  button.textContent = "Stop";
}

function pressed(event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], details.menu[open]")) return;
  stop();
}

export function start() {
  form = document.querySelector("[data-composer]");
  if (!form) return;
  url = form.dataset.composer;
  form.addEventListener("submit", submitted);
  form.querySelector("[data-stop]").addEventListener("click", stop);
  form.querySelector("textarea").addEventListener("keydown", (event) => {
    if (!isSend(event)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", pressed);
  document.addEventListener("region:loaded", () => outbox.forEach(draw));
  hooks.put.push(arrived);
  onStatus((agent, { status }) => agent === url && showStop(status));
  showStop(statusOf(url));
  onState((state) => state === "open" && outbox.filter((entry) => entry.later).forEach(deliver));
  restore();
}
