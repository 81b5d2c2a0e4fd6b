/**
 * A short table, drawn again when something in it has changed.
 */

import { h, replace } from "../dom.js";

/**
 * @typedef {object} Cell
 * @property {string} [class]
 * @property {import("../dom.js").Child | import("../dom.js").Child[]} show
 */

export class Table {
  #drawn = "";

  /**
   * @param {string} caption
   * @param {{title: string, class?: string}[]} columns
   */
  constructor(caption, columns) {
    this.columns = columns;
    this.rows = h("tbody");
    this.element = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": caption },
      h("table", null,
        h("caption", { class: "visually-hidden" }, caption),
        h("thead", null, h("tr", null, columns.map((each) => h("th", { scope: "col", class: each.class }, each.title)))),
        this.rows));
  }

  /**
   * @param {(import("../dom.js").Child | import("../dom.js").Child[])[][]} rows
   * @param {string} nothing what to say if there are none
   */
  show(rows, nothing) {
    const body = rows.length
      ? rows.map((cells) => h("tr", null, cells.map((cell, index) =>
          index === 0
            ? h("th", { scope: "row", class: this.columns[index].class }, cell)
            : h("td", { class: this.columns[index].class }, cell))))
      : [h("tr", null, h("td", { class: "soft", colspan: this.columns.length }, nothing))];
    // The same again is left as it is, so that what is selected or focused in it stays so.
    const drawn = body.map((each) => each.outerHTML).join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    replace(this.rows, body);
  }
}
