/**
 * A line of the last while.
 */

import { s, set } from "../dom.js";

const WIDTH = 100;
const HEIGHT = 30;

export class Spark {
  /** @param {string} label what it is of @param {number} length how many values it has room for @param {string} [kind] */
  constructor(label, length, kind = "") {
    this.length = length;
    this.label = label;
    this.area = s("path", { class: "area" });
    this.line = s("path", { class: "line" });
    this.element = s("svg", {
      class: `spark ${kind}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none",
      ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
    }, this.area, this.line);
  }

  /** @param {number[]} values the last one is now @param {string} [words] what they say, for who does not see them */
  show(values, words) {
    const highest = Math.max(...values, 0) || 1;
    const step = WIDTH / (this.length - 1);
    const points = values.map((value, index) => {
      const x = WIDTH - (values.length - 1 - index) * step;
      return `${x.toFixed(1)} ${(HEIGHT - 1.5 - (value / highest) * (HEIGHT - 4)).toFixed(1)}`;
    });
    const line = points.length > 1 ? `M${points.join("L")}` : "";
    const from = WIDTH - (values.length - 1) * step;
    set(this.line, { d: line });
    set(this.area, { d: line && `${line}L${WIDTH} ${HEIGHT}L${from.toFixed(1)} ${HEIGHT}Z` });
    if (this.label && words) set(this.element, { "aria-label": `${this.label}: ${words}` });
  }
}
