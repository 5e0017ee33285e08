// The button that loads earlier rows of a region's feed: <button data-earlier="address" data-before="offset">.

import { pane } from "./mount.js";
import { apply } from "./patch.js";

const loading = new WeakMap(); // button → the promise of its rows

// Load what lies before, once at a time; with `until`, as much as it takes to come to the element with this id.
export function earlier(button, until = "") {
  if (!button) return undefined;
  if (!loading.has(button)) loading.set(button, load(button, until).finally(() => loading.delete(button)));
  return loading.get(button);
}

async function load(button, until) {
  const address = new URL(button.dataset.earlier, location.href);
  address.searchParams.set("before", button.dataset.before);
  if (until) address.searchParams.set("until", until);
  button.disabled = true;
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const { changes, before: further, missing } = await answer.json();
    // A button with nothing left to load goes with the rows: the room that it took must not move the reader.
    apply(changes, { scope: button.closest("[data-region]"), earlier: true, spent: further ? null : button });
    if (further) button.dataset.before = further;
    else button.remove();
    // There was more until then than one answer has room for.
    if (missing) return await load(button, until);
  } catch {
    button.textContent = "Could not be loaded. Try again";
  }
  button.disabled = false;
  return undefined;
}

export const { mount, unmount } = pane("earlier rows", "[data-earlier]", (button, signal) => {
  button.addEventListener("click", () => earlier(button), { signal });
});
