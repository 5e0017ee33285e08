// What every page starts. One module for each concern; none of them knows htmx but region.js and patch.js.

import * as agents from "./agents.js";
import * as board from "./board.js";
import * as composer from "./composer.js";
import * as connection from "./connection.js";
import * as events from "./events.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import { hooks } from "./patch.js";
import * as tables from "./tables.js";
import * as timeline from "./timeline.js";
import * as times from "./times.js";
import * as tree from "./tree.js";
import * as widgets from "./widgets.js";

widgets.start();
times.start();
keys.start();
tree.start();
agents.start();
tables.start();
events.start();
board.start();
timeline.start();
composer.start();

hooks.put.push((element, { placed }) => placed && times.refresh(element.parentElement || element));
hooks.after.push(() => document.querySelector("[data-feed]") && live.scan());
document.addEventListener("region:loaded", () => times.refresh());
document.addEventListener("htmx:afterSettle", (event) => {
  agents.sync(event.target);
  tree.refresh();
  times.refresh();
  live.scan();
});

if (document.body.dataset.socket) {
  connection.start();
  live.start(document.body.dataset.socket);
} else connection.tellOthers();
