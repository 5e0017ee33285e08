// What every page starts. One module for each concern; none of them knows htmx but region.js and patch.js.

import * as agents from "./panes/agents.js";
import * as board from "./panes/board.js";
import * as composer from "./panes/composer.js";
import * as connection from "./core/connection.js";
import * as events from "./panes/events.js";
import * as keys from "./core/keys.js";
import * as live from "./core/live.js";
import { hooks } from "./core/patch.js";
import * as tables from "./panes/tables.js";
import * as timeline from "./panes/timeline.js";
import * as times from "./core/times.js";
import * as tree from "./panes/tree.js";
import * as widgets from "./panes/widgets.js";

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
