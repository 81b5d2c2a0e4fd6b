/**
 * A table of any length: only the rows that are seen are elements. The focus stays on the table itself and
 * arrow keys move the current row (`aria-activedescendant`), so that nothing is lost when rows come and go.
 */

import { h, replace, set } from "../dom.js";

const ROW = 40;
const SPARE = 6;

/**
 * @template T
 * @typedef {object} Column
 * @property {string} id
 * @property {string} title
 * @property {string} [class]
 * @property {boolean} [sortable]
 * @property {(cell: HTMLElement, item: T) => void} show fills a cell, which may hold another item's
 */

/** @template {{key: string}} T */
export class Grid {
  /** @type {T[]} */
  items = [];
  #current = -1;
  #currentKey = "";
  /** @type {Map<number, {row: HTMLElement, cells: HTMLElement[]}>} */
  #shown = new Map();
  /** @type {{row: HTMLElement, cells: HTMLElement[]}[]} */
  #spare = [];
  #scheduled = false;

  /**
   * @param {object} options
   * @param {string} options.label
   * @param {Column<T>[]} options.columns
   * @param {(item: T) => void} options.open
   * @param {(column: string) => void} options.sort
   */
  constructor({ label, columns, open, sort }) {
    this.columns = columns;
    this.open = open;
    this.headers = columns.map((column, index) =>
      h("div", { role: "columnheader", "aria-colindex": index + 1, class: column.class, "data-column": column.id },
        column.sortable
          ? h("button", { type: "button", onclick: () => sort(column.id) }, column.title)
          : h("button", { type: "button", disabled: true }, column.title)),
    );
    this.rows = h("div", { class: "rows", role: "rowgroup" });
    this.empty = h("div", { class: "empty" });
    this.body = h("div", { class: "body", role: "presentation", tabindex: -1, onscroll: () => this.#schedule() },
      this.rows, this.empty);
    this.element = h("div", {
      class: "grid", role: "grid", tabindex: 0, "aria-label": label, "aria-colcount": columns.length,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onclick: (/** @type {MouseEvent} */ event) => this.#click(event),
    },
      h("div", { class: "head", role: "rowgroup" },
        h("div", { class: "row", role: "row", "aria-rowindex": 1 }, this.headers)),
      this.body);
    this.#resizes = new ResizeObserver(() => this.#schedule());
    this.#resizes.observe(this.body);
  }

  #resizes;

  stop() {
    this.#resizes.disconnect();
  }

  /** @param {string} column @param {boolean} descending */
  showSort(column, descending) {
    for (const [index, header] of this.headers.entries()) {
      const mine = this.columns[index].id === column;
      set(header, { "aria-sort": mine ? (descending ? "descending" : "ascending") : null });
    }
  }

  /**
   * Show other items, or the same ones that have changed.
   * @param {T[]} items
   * @param {string} nothing what to say if there are none
   */
  show(items, nothing) {
    this.items = items;
    if (this.#currentKey && items[this.#current]?.key !== this.#currentKey) {
      this.#current = items.findIndex((each) => each.key === this.#currentKey);
    }
    this.rows.style.height = `${items.length * ROW}px`;
    set(this.element, { "aria-rowcount": items.length + 1 });
    this.empty.hidden = items.length > 0;
    replace(this.empty, items.length ? "" : nothing);
    this.#schedule();
  }

  /** Put the current row where it was left. @param {string} key */
  goTo(key) {
    const index = this.items.findIndex((each) => each.key === key);
    if (index >= 0) this.#move(index);
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const top = this.body.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((top + this.body.clientHeight) / ROW) + SPARE);
    for (const [index, made] of this.#shown) {
      if (index < first || index >= last) {
        this.#shown.delete(index);
        made.row.hidden = true;
        this.#spare.push(made);
      }
    }
    for (let index = first; index < last; index++) {
      let made = this.#shown.get(index);
      if (!made) {
        made = this.#spare.pop() ?? this.#make();
        this.#shown.set(index, made);
        made.row.hidden = false;
        made.row.style.transform = `translateY(${index * ROW}px)`;
        set(made.row, { "aria-rowindex": index + 2, id: `row-${index}`, "data-index": index });
      }
      const item = this.items[index];
      for (const [number, column] of this.columns.entries()) column.show(made.cells[number], item);
      const current = index === this.#current;
      made.row.classList.toggle("current", current);
      set(made.row, { "aria-selected": current ? "true" : null });
    }
    const there = this.#shown.has(this.#current);
    set(this.element, { "aria-activedescendant": there ? `row-${this.#current}` : null });
  }

  #make() {
    const cells = this.columns.map((column, index) =>
      h("div", { role: "gridcell", "aria-colindex": index + 1, class: column.class, "data-column": column.id }));
    const row = h("div", { role: "row", class: "row" }, cells);
    this.rows.append(row);
    return { row, cells };
  }

  /** @param {number} index */
  #move(index) {
    this.#current = Math.max(0, Math.min(this.items.length - 1, index));
    this.#currentKey = this.items[this.#current]?.key ?? "";
    const top = this.#current * ROW;
    const height = this.body.clientHeight;
    if (top < this.body.scrollTop) this.body.scrollTop = top;
    else if (top + ROW > this.body.scrollTop + height) this.body.scrollTop = top + ROW - height;
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.element || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.body.clientHeight / ROW) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: this.#current + 1,
      ArrowUp: this.#current - 1,
      PageDown: this.#current + page,
      PageUp: this.#current - page,
      Home: 0,
      End: this.items.length - 1,
    };
    if (event.key in moves && this.items.length) {
      event.preventDefault();
      this.#move(moves[event.key]);
    } else if (event.key === "Enter" && this.items[this.#current]) {
      event.preventDefault();
      this.open(this.items[this.#current]);
    }
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const row = /** @type {HTMLElement | null} */ (target.closest("[data-index]"));
    if (!row || target.closest("a")) return;
    const item = this.items[Number(row.dataset.index)];
    if (item && !getSelection()?.toString()) this.open(item);
  }
}
