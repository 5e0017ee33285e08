// Sending: a message is on the page at once and waits there until the log has it.
//
// What is not acknowledged stays in this browser and goes out again after a reconnect or a reload, with the
// same key; the server takes each key once, so nothing is ever said twice.

import { near } from "../core/common.js";
import { draft, forgetDraft, grow } from "../core/drafting.js";
import { isOpen, onState, request } from "../core/live.js";
import { pane, parts } from "../core/mount.js";
import { on } from "../core/patch.js";
import { knownOf, onStatus } from "../core/statuses.js";
import { recall, remember } from "../core/store.js";

const MOST_BYTES = 60000; // of a message; the server's frames may hold 64 KB
const LAST = "~"; // sorts after every offset

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The smallest part of the page that has both a form and the timeline that it writes to.
function paneOf(form) {
  const timeline = `[data-timeline][data-feed="${CSS.escape(form.dataset.composer)}"]`;
  for (let part = form; part; part = part.parentElement) if (part.querySelector(timeline)) return part;
  return form;
}

class Composer {
  unsent = [];

  constructor(form, signal) {
    this.form = form;
    this.url = form.dataset.composer;
    this.area = form.querySelector("textarea");
    this.button = form.querySelector("[data-stop]");
    this.prefix = `msg-${form.dataset.stream}-`; // of the id that the log's message will have, before its key
    draft(this.area, signal);
    form.addEventListener("submit", (event) => this.submitted(event), { signal });
    this.button.addEventListener("click", () => this.stop(), { signal });
    document.addEventListener("click", (event) => this.clicked(event), { signal });
    document.addEventListener("keydown", (event) => this.pressed(event), { signal });
    parts.add(() => this.unsent.forEach((entry) => this.render(entry)), signal);
    on("put", (message, { context }) => this.arrived(message, context), signal);
    onStatus((agent, { status }) => agent === this.url && this.showStop(status), signal);
    this.showStop(knownOf(this.url)?.status);
    this.restore();
    onState((state) => state === "open" && this.unsent.filter((entry) => entry.later).forEach((entry) => this.deliver(entry)), signal);
  }

  get timeline() {
    return paneOf(this.form).querySelector(`[data-timeline][data-feed="${CSS.escape(this.url)}"]`);
  }

  tell(news) {
    this.timeline?.dispatchEvent(new CustomEvent(news));
  }

  element({ key }) {
    return this.timeline?.querySelector(`#${CSS.escape(this.prefix + key)}`);
  }

  submitted(event) {
    event.preventDefault();
    const text = this.area.value.trim();
    if (!text) return;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MOST_BYTES) {
      this.complain(`This message has ${bytes.toLocaleString()} bytes; ${MOST_BYTES.toLocaleString()} are allowed. Send less at once.`);
      return;
    }
    this.complain("");
    const entry = { key: newKey(), text };
    this.unsent.push(entry);
    this.keep();
    this.area.value = "";
    forgetDraft(this.area);
    grow(this.area);
    this.render(entry);
    this.tell("timeline:end");
    this.deliver(entry);
  }

  keep() {
    remember(`unsent:${this.url}`, this.unsent.length ? this.unsent : null);
  }

  render(entry) {
    if (!this.timeline || this.element(entry)) return;
    const message = near(this.form, "[data-pending-message]").content.firstElementChild.cloneNode(true);
    message.id = this.prefix + entry.key;
    message.dataset.order = LAST;
    message.dataset.pending = entry.key;
    message.querySelector(".message-body").textContent = entry.text;
    this.timeline.append(message);
  }

  async deliver(entry) {
    if (!isOpen()) {
      this.fail(entry, "not sent: no connection. It goes out when the connection is back.", true);
      return;
    }
    this.mark(entry, "sending", false);
    try {
      await request({ op: "send", ref: entry.key, to: this.url, key: entry.key, payload: entry.text, type: null });
      this.sent(entry);
    } catch (error) {
      const later = error.code === "offline" || error.code === "timeout";
      this.fail(entry, later ? "not confirmed. It goes out again when the connection is back." : error.message, later);
    }
  }

  forget(entry) {
    this.unsent = this.unsent.filter((each) => each.key !== entry.key);
    this.keep();
  }

  sent(entry) {
    this.forget(entry);
    this.mark(entry, "sent", false);
  }

  fail(entry, text, later) {
    entry.later = later;
    this.mark(entry, text, true);
  }

  mark(entry, text, failed) {
    const message = this.element(entry);
    if (!message?.dataset.pending) return;
    message.classList.toggle("message-failed", failed);
    message.querySelector("[data-pending-state]").textContent = text;
    message.querySelector("[data-retry]").hidden = !failed;
    message.querySelector("[data-discard]").hidden = !failed;
    this.tell("timeline:stay");
  }

  clicked(event) {
    const message = event.target.closest("[data-pending]");
    const entry = message && this.unsent.find((each) => each.key === message.dataset.pending);
    if (entry && event.target.closest("[data-retry]")) this.deliver(entry);
    if (entry && event.target.closest("[data-discard]")) {
      this.forget(entry);
      message.remove();
      if (!this.area.value) this.area.value = entry.text;
    }
  }

  // The log has it: the real message has replaced the pending one.
  arrived(message, { scope }) {
    const entry = this.unsent.find((each) => this.prefix + each.key === message.id);
    if (entry && (scope || document).contains(this.timeline)) this.sent(entry);
  }

  restore() {
    this.unsent = recall(`unsent:${this.url}`, []).filter((entry) => !this.element(entry));
    this.keep();
    this.unsent.forEach((entry) => this.render(entry));
    // They go out when the socket is open; that is a moment from now.
    for (const entry of this.unsent) entry.later = true;
  }

  complain(text) {
    const place = this.form.querySelector("[data-composer-error]");
    place.textContent = text;
    place.hidden = !text;
  }

  // -- stopping

  async stop() {
    if (this.button.hidden || this.button.disabled) return;
    this.button.disabled = true;
    this.button.textContent = "Stopping";
    try {
      await request({ op: "signal", ref: `stop-${newKey()}`, to: this.url, signal: "SIGINT" });
      this.complain("");
    } catch (error) {
      this.complain(`Could not stop it: ${error.message}`);
      this.showStop(knownOf(this.url)?.status);
    }
  }

  showStop(status) {
    this.button.hidden = status !== "running" || this.form.dataset.maySignal !== "yes";
    this.button.disabled = false;
    this.button.textContent = "Stop";
  }

  pressed(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], details.menu[open]")) return;
    if (this.isMeant(event.target)) this.stop();
  }

  // Of several composers the one in whose pane the key was pressed, otherwise the first.
  isMeant(target) {
    const forms = [...document.querySelectorAll("[data-composer]")];
    return (forms.find((form) => form.contains(target)) || forms.find((form) => paneOf(form).contains(target)) || forms[0]) === this.form;
  }
}

export const { mount, unmount } = pane("composer", "[data-composer]", (form, signal) => new Composer(form, signal));
