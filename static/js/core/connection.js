// The banner that says that the connection is lost and back again, that somebody signed out, or that what the
// page shows may not be seen any more.

import { onState, renew } from "./live.js";
import { remember } from "./store.js";

const PATIENCE = 1200; // milliseconds: a short interruption is nobody's business
const GOOD_NEWS = 2000;
const LAST_WORD = 1500; // long enough to read why the page goes away
const SIGNED_OUT = "signed-out"; // what tabs of one browser tell each other

let timer = 0;
let wasLost = false;
let leaving = false;

function show(text, good) {
  const banner = document.getElementById("connection");
  banner.textContent = text;
  banner.classList.toggle("banner-good", good);
  banner.hidden = false;
}

function changed(state) {
  if (state === "closed") return leave();
  if (leaving) return undefined;
  if (state === "lost") {
    if (!timer && !wasLost) timer = setTimeout(lost, PATIENCE);
    return undefined;
  }
  clearTimeout(timer);
  timer = 0;
  if (!wasLost) return undefined;
  wasLost = false;
  document.body.removeAttribute("data-offline");
  show("Connected again. The page has caught up.", true);
  setTimeout(() => { if (!wasLost && !leaving) document.getElementById("connection").hidden = true; }, GOOD_NEWS);
  return undefined;
}

// Nobody is signed in any more. What was written stays in this browser, and signing in leads back here.
function leave() {
  if (leaving) return;
  leaving = true;
  clearTimeout(timer);
  document.body.dataset.offline = "";
  show("You are signed out. Taking you to the sign-in page; what you wrote is kept.", false);
  const here = location.pathname + location.search + location.hash;
  setTimeout(() => location.assign(`${document.body.dataset.login}?next=${encodeURIComponent(here)}`), LAST_WORD);
}

// A stream was refused: it was deleted, or a grant ended.
function refused({ detail: { code, feed } }) {
  if (leaving || code !== "stream_not_found" || !feed.element.closest("[data-region]")) return;
  document.body.dataset.offline = "";
  show("This is not there any more, or it is not yours to see any longer. What stands here is no longer live.", false);
}

function lost() {
  timer = 0;
  wasLost = true;
  document.body.dataset.offline = "";
  show("The connection is lost. Trying again; what you send is kept and goes out when it is back.", false);
}

// A page that nobody is signed in on tells the others, so that they need not wait for the server to notice.
export function tellOthers() {
  remember(SIGNED_OUT, Date.now());
}

export function start() {
  onState(changed);
  document.addEventListener("live:refused", refused);
  addEventListener("storage", ({ key }) => key === SIGNED_OUT && renew());
}
