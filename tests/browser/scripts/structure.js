// What a screen reader would stumble over: landmarks, headings, ids, labels of regions.
() => {
  const problems = [];
  const visible = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const expectOne = (selector) => visible(selector).length === 1 || problems.push(`${visible(selector).length} of ${selector}`);
  if (!document.documentElement.lang) problems.push("no language");
  if (!document.title.trim()) problems.push("no title");
  expectOne("main");
  expectOne("h1");
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) problems.push(`twice the id ${id}`);
  let last = 0;
  for (const heading of visible("h1, h2, h3, h4, h5, h6")) {
    if (heading.closest(".prose, dialog")) continue;
    const level = Number(heading.localName[1]);
    if (last && level > last + 1) problems.push(`h${last} is followed by h${level} ${heading.textContent.trim().slice(0, 40)}`);
    last = level;
  }
  const label = (element) => element.getAttribute("aria-label") || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  const navigations = visible("nav");
  for (const nav of navigations) if (navigations.length > 1 && !label(nav)) problems.push(`a nav without a name: ${nav.textContent.trim().slice(0, 40)}`);
  const names = navigations.map(label);
  for (const name of new Set(names)) if (names.filter((each) => each === name).length > 1) problems.push(`two navs are called ${name}`);
  for (const image of visible("img")) if (!image.hasAttribute("alt")) problems.push(`an image without alt: ${image.src}`);
  return problems;
}
