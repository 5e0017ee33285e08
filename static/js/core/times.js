// Times as people say them: "3 min ago", and running clocks. The exact time is in the title.

import { withSelf } from "./common.js";
import { pane, parts } from "./mount.js";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function refresh(part) {
  const now = Date.now();
  for (const element of withSelf(part, "time[data-ago]")) {
    const then = new Date(element.dateTime);
    const text = ago((now - then) / 1000, then);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = exact.format(then);
  }
}

function tick(part) {
  const now = Date.now();
  for (const element of withSelf(part, "[data-since]")) {
    const then = Date.parse(element.dataset.since);
    if (then) element.textContent = elapsed(Math.max(0, (now - then) / 1000));
  }
}

function ago(seconds, then) {
  if (seconds < 10) return "now";
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return day.format(then);
}

const elapsed = (seconds) =>
  seconds < 60 ? `${Math.floor(seconds)} s` : `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;

export const { mount, unmount } = pane("times", "body", (body, signal) => {
  const clocks = [setInterval(() => refresh(body), 10000), setInterval(() => tick(body), 1000)];
  signal.addEventListener("abort", () => clocks.forEach(clearInterval));
  parts.add(refresh, signal);
  refresh(body);
  tick(body);
});
