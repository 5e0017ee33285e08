// The elements that make the page scroll sideways; none if it does not.
() => {
  // Not innerWidth: a phone zooms out until everything fits, and then it does.
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const clipped = (element) => {
    for (let each = element.parentElement; each && each !== document.body; each = each.parentElement) {
      if (getComputedStyle(each).overflowX !== "visible") return true;
    }
    return false;
  };
  const found = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > width + 0.5 && !clipped(each));
  return [`the page is ${document.documentElement.scrollWidth} wide`, ...found.slice(0, 8).map((each) => `${each.localName}${each.id ? `#${each.id}` : ""}.${[...each.classList].join(".")}`)];
}
