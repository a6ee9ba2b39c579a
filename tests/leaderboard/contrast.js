// The lowest contrast of any text in the page's main part with what lies behind it (WCAG 2, relative luminance).
() => {
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const linear = value => value <= 0.03928 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const clear = element => (parse(getComputedStyle(element).backgroundColor)[3] ?? 1) === 0;
  let lowest = 21;
  for (const element of document.querySelectorAll("main *")) {
    const says = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!says || !element.offsetParent || element.closest(":disabled, svg, option, select")) continue;
    let behind = element;
    while (behind !== document.body && clear(behind)) behind = behind.parentElement;
    const ink = luminance(parse(getComputedStyle(element).color));
    const paper = luminance(parse(getComputedStyle(behind).backgroundColor));
    lowest = Math.min(lowest, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
  }
  return lowest;
}
