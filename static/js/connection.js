// The banner that says that the connection is lost, and that it is back.

import { onState } from "./live.js";

const PATIENCE = 1200; // milliseconds: a short interruption is nobody's business
const GOOD_NEWS = 2000;

let timer = 0;
let wasLost = false;

function show(text, good) {
  const banner = document.getElementById("connection");
  banner.textContent = text;
  banner.classList.toggle("banner-good", good);
  banner.hidden = false;
}

function changed(state) {
  if (state === "closed") {
    show("You are signed out. Taking you to the sign-in page…", false);
    setTimeout(() => location.assign(`${document.body.dataset.login}?next=${encodeURIComponent(location.pathname)}`), 1500);
    return;
  }
  if (state === "lost") {
    if (!timer && !wasLost) timer = setTimeout(lost, PATIENCE);
    return;
  }
  clearTimeout(timer);
  timer = 0;
  if (!wasLost) return;
  wasLost = false;
  document.body.removeAttribute("data-offline");
  show("Connected again. The page has caught up.", true);
  setTimeout(() => { if (!wasLost) document.getElementById("connection").hidden = true; }, GOOD_NEWS);
}

function lost() {
  timer = 0;
  wasLost = true;
  document.body.dataset.offline = "";
  show("The connection is lost. Trying again; what you send is kept and goes out when it is back.", false);
}

export function start() {
  onState(changed);
}
