// The socket and what follows it. Everything else has a script element of its own in base.html, so that whatever
// happens there, the page stays connected.

import { mount, start, unmount } from "./core/live.js";
import { register } from "./core/mount.js";

if (document.body.dataset.socket) start(document.body.dataset.socket);
register("feeds", "[data-feed]", { mount, unmount });
