// The banner that says that the connection is lost and back again, that somebody signed out, or that what the
// page shows may not be seen any more.

import { onState, renew } from "./live.js";
import { pane } from "./mount.js";
import { remember } from "./store.js";

const GRACE = 1200; // milliseconds: a short interruption is nobody's business
const GOOD_NEWS = 2000;
const CLOSING_WAIT = 1500; // long enough to read why the page goes away
const SIGNED_OUT = "signed-out"; // what tabs of one browser tell each other

class Connection {
  timer = 0;
  wasLost = false;
  leaving = false;

  constructor(body, signal) {
    onState((state) => this.changed(state), signal);
    document.addEventListener("live:refused", (event) => this.refused(event), { signal });
    addEventListener("storage", ({ key }) => key === SIGNED_OUT && renew(), { signal });
  }

  changed(state) {
    if (state === "closed") this.leave();
    else if (this.leaving) return;
    else if (state !== "lost") this.back();
    else if (!this.timer && !this.wasLost) this.timer = setTimeout(() => this.lost(), GRACE);
  }

  back() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (!this.wasLost) return;
    this.wasLost = false;
    document.body.removeAttribute("data-offline");
    show("Connected again. The page has caught up.", true);
    setTimeout(() => { if (!this.wasLost && !this.leaving) banner().hidden = true; }, GOOD_NEWS);
  }

  // Nobody is signed in any more. What was written stays in this browser, and signing in leads back here.
  leave() {
    if (this.leaving) return;
    this.leaving = true;
    clearTimeout(this.timer);
    document.body.dataset.offline = "";
    show("You are signed out. Taking you to the sign-in page; what you wrote is kept.", false);
    const here = location.pathname + location.search + location.hash;
    setTimeout(() => location.assign(`${document.body.dataset.login}?next=${encodeURIComponent(here)}`), CLOSING_WAIT);
  }

  // A stream was refused: it was deleted, or a grant ended.
  refused({ target, detail: { code } }) {
    if (this.leaving || code !== "stream_not_found" || !target.closest("[data-region]")) return;
    document.body.dataset.offline = "";
    show("This is not there any more, or it is not yours to see any longer. What stands here is no longer live.", false);
  }

  lost() {
    this.timer = 0;
    this.wasLost = true;
    document.body.dataset.offline = "";
    show("The connection is lost. Trying again; what you send is kept and goes out when it is back.", false);
  }
}

const banner = () => document.getElementById("connection");

function show(text, good) {
  banner().textContent = text;
  banner().classList.toggle("banner-good", good);
  banner().hidden = false;
}

export const { mount, unmount } = pane("connection", "body", (body, signal) => {
  if (body.dataset.socket) new Connection(body, signal);
  // A page that nobody is signed in on tells the others, so that they need not wait for the server to notice.
  else remember(SIGNED_OUT, Date.now());
});
