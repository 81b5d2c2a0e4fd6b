// The texts of a page whose contrast is too low (WCAG 2.2, 1.4.3), for `too_faint` in browser.py.
() => {
  const numbers = (text) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => top.slice(0, 3).map((each, i) => each * top[3] / 255 + below[i] * (1 - top[3] / 255));
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const box = each.matches("g.item") ? each.querySelector("rect") : null;
      layers.push(numbers(box ? getComputedStyle(box).fill : getComputedStyle(each).backgroundColor));
      if (layers.at(-1)[3] === 255) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((each) => each / 255).map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest(".visually-hidden, title, .skip, :disabled")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const colour = over(numbers(element instanceof SVGElement ? style.fill : style.color), below);
    const [a, b] = [light(colour), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)} (${style.color} on ${below})`);
  }
  return found;
}
