// Load a part of the page anew: when it is too far behind to catch up change by change.

const loading = new Map(); // id of a region → the promise of its reload

// Replace the region around an element by what the server shows now. False if it could not be had.
export function reload(element) {
  const region = element.closest("[data-region]");
  if (!region) return false;
  if (!loading.has(region.id)) {
    loading.set(region.id, fetchRegion(region).finally(() => loading.delete(region.id)));
  }
  return loading.get(region.id);
}

async function fetchRegion(region) {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(region.id);
    if (!fresh) throw new Error("the region is gone");
    region.replaceWith(fresh);
    window.htmx?.process(fresh);
    document.dispatchEvent(new CustomEvent("region:loaded", { detail: { region: fresh } }));
    return true;
  } catch (error) {
    console.warn("region:", region.id, error.message);
    setTimeout(() => region.isConnected && location.reload(), 5000);
    return false;
  }
}
