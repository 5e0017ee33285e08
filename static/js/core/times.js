// Times as people say them: "3 min ago", and running clocks. The exact time is in the title.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function refresh(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const then = new Date(element.dateTime);
    const text = ago((now - then) / 1000, then);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = exact.format(then);
  }
}

export function tick() {
  const now = Date.now();
  for (const element of document.querySelectorAll("[data-since]")) {
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

export function start() {
  refresh();
  tick();
  setInterval(refresh, 10000);
  setInterval(tick, 1000);
}
