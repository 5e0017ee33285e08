// A part of the page as text that two pages can be compared by: one line for each element, what passes left out.
(selector) => {
  const PASSING = new Set([
    "data-after", // the cursor: a live page may have seen events that change nothing on it
    "data-arrived", "data-touched", "data-new", "data-lease-until", "tabindex", "open", "style", "title",
  ]);
  const PASSING_CLASSES = new Set(["flash", "found", "htmx-added", "htmx-settling", "htmx-swapping", "htmx-request"]);
  const lines = [];
  const attributes = (element) =>
    [...element.attributes]
      .filter(({ name }) => !PASSING.has(name))
      .map(({ name, value }) => [name, name === "class" ? value.split(/\s+/).filter((each) => each && !PASSING_CLASSES.has(each)).sort().join(" ") : value])
      .filter(([name, value]) => name !== "class" || value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => ` ${name}="${value}"`)
      .join("");
  const walk = (node, depth) => {
    const indent = " ".repeat(depth);
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.replace(/\s+/g, " ").trim();
      if (text) lines.push(indent + text);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    lines.push(`${indent}<${node.localName}${attributes(node)}>`);
    if (node.matches("time[data-ago], [data-since]")) return; // "3 min ago"; the exact time is an attribute
    node.normalize();
    for (const child of node.childNodes) walk(child, depth + 1);
  };
  for (const element of document.querySelectorAll(selector)) walk(element, 0);
  return lines;
}
