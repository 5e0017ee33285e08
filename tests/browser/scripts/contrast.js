// Texts whose contrast with what lies behind them is below WCAG AA: 4.5, or 3 where they are large.
() => {
  const parse = (text) => {
    const numbers = (text.match(/-?[\d.]+(e-?\d+)?%?/g) || []).map((each) => (each.endsWith("%") ? parseFloat(each) / 100 : Number(each)));
    if (text.startsWith("color(srgb")) return { rgb: numbers.slice(0, 3).map((part) => part * 255), alpha: numbers[3] ?? 1 };
    if (text.startsWith("rgb")) return { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
    throw new Error(`a colour that this script cannot read: ${text}`);
  };
  const over = (front, back) => ({ rgb: front.rgb.map((part, n) => part * front.alpha + back[n] * (1 - front.alpha)) }).rgb;
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  // Every colour that an element may show behind its content: its gradient's stops, else its background.
  const layers = (style) => {
    const stops = style.backgroundImage.includes("gradient") ? style.backgroundImage.match(/(rgba?|color)\([^()]*\)/g) || [] : [];
    return (stops.length ? stops : [style.backgroundColor]).map(parse);
  };
  const behind = (element) => {
    const chain = [];
    for (let each = element; each; each = each.parentElement) chain.unshift(getComputedStyle(each));
    let found = [[255, 255, 255]];
    if (getComputedStyle(document.documentElement).colorScheme === "dark") found = [[18, 18, 18]];
    for (const style of chain) found = layers(style).flatMap((front) => found.map((back) => over(front, back)));
    return found;
  };
  const opacity = (element) => {
    let whole = 1;
    for (let each = element; each; each = each.parentElement) whole *= Number(getComputedStyle(each).opacity);
    return whole;
  };
  const problems = [];
  let looked = 0;
  const judge = (element, style, text, backs) => {
    looked += 1;
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const color = parse(style.color);
    const faded = { rgb: color.rgb, alpha: color.alpha * opacity(element) };
    const worst = Math.min(...backs.map((back) => ratio(over(faded, back), back)));
    if (worst < (large ? 3 : 4.5)) {
      const name = `${element.localName}${element.id ? `#${element.id}` : ""}.${[...element.classList].join(".")}`;
      problems.push(`${worst.toFixed(2)} ${name} ${JSON.stringify(text.trim().slice(0, 40))} ${style.color}`);
    }
  };
  const shown = (element) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    if (element.closest(":disabled, [aria-disabled=true], .sr-only, .skip:not(:focus), svg, noscript")) return false;
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(element).clipPath === "none";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (texts.currentNode.textContent.trim() && shown(element)) judge(element, getComputedStyle(element), texts.currentNode.textContent, behind(element));
  }
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element)) continue;
    for (const kind of ["::before", "::after"]) {
      const style = getComputedStyle(element, kind);
      const text = /^"(.*)"$/.exec(style.content)?.[1] || "";
      if (/[\p{L}\p{N}]/u.test(text)) judge(element, style, text, layers(style).flatMap((front) => behind(element).map((back) => over(front, back))));
    }
    if (element.matches("input, textarea, select")) {
      const empty = element.value === "" && element.placeholder;
      judge(element, getComputedStyle(element, empty ? "::placeholder" : null), element.value || element.placeholder || "", behind(element));
    }
  }
  return { looked, problems };
}
