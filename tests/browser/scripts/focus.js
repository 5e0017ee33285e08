// What has the focus, and whether one sees it: something of it, or around it, must look different without.
() => {
  const element = document.activeElement;
  const name = element === document.body ? "body" : `${element.localName}.${[...element.classList].join(".")} ${element.textContent.trim().slice(0, 30)}`;
  if (element === document.body) return { name, visible: true };
  const chain = [];
  for (let each = element; each && chain.length < 3; each = each.parentElement) chain.push(each);
  const look = () =>
    chain.map((each) => {
      const style = getComputedStyle(each);
      return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.borderColor, style.boxShadow, style.backgroundColor].join("|");
    }).join("\n");
  const box = element.getBoundingClientRect();
  const onPage = box.width > 0 && box.height > 0;
  const focused = look();
  element.blur();
  const blurred = look();
  element.focus({ preventScroll: true });
  return { name, visible: onPage && focused !== blurred };
}
