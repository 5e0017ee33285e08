// What a finger must hit on this page and is too small for it, links inside a line of text aside.
(least, comfortable, main) => {
  const found = [];
  for (const element of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest(".sr-only, .skip, dialog:not([open])")) continue;
    if (element.matches(":disabled")) continue;
    const style = getComputedStyle(element);
    const inline = style.display === "inline" && !element.matches("button");
    if (inline || element.closest(".prose, .json")) continue;
    const box = element.getBoundingClientRect();
    const label = element.closest("label")?.getBoundingClientRect();
    const height = Math.max(box.height, label?.height || 0);
    const width = Math.max(box.width, label?.width || 0);
    const wanted = element.matches(main) ? comfortable : least;
    if (height < wanted || width < least) {
      const name = element.getAttribute("aria-label") || element.textContent.trim().slice(0, 40) || element.name;
      found.push(`${element.localName}.${[...element.classList].join(".")} ${JSON.stringify(name)}: ${Math.round(width)}×${Math.round(height)}`);
    }
  }
  return found;
}
