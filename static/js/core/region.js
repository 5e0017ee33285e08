// Load a part of the page anew: when it is too far behind to catch up change by change.
//
// <div data-region="/assistant/x/"> says what page shows it; without an address it is the page that we are on.

const loading = new WeakMap(); // region → the promise of its reload
const reloaded = new WeakSet(); // regions that replaced others

// Whether an element came with a region that was loaded anew, rather than with the page.
export const isReloaded = (element) => reloaded.has(element.closest("[data-region]"));

// Replace the region around an element by what the server shows now. False if it could not be had.
export function reload(element) {
  const region = element.closest("[data-region]");
  if (!region) return false;
  if (!loading.has(region)) loading.set(region, fetchRegion(region).finally(() => loading.delete(region)));
  return loading.get(region);
}

async function fetchRegion(region) {
  try {
    const address = new URL(region.dataset.region || location.href, location.href);
    const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(region.id);
    if (!fresh) throw new Error("the region is gone");
    reloaded.add(fresh);
    region.replaceWith(fresh);
    window.htmx?.process(fresh);
    return true;
  } catch (error) {
    console.warn("region:", region.id, error.message);
    setTimeout(() => region.isConnected && location.reload(), 5000);
    return false;
  }
}
