/**
 * The picture Service -> endpoints -> nodes. What stays is moved, what comes fades in: a change is seen.
 */

import { s, say, set } from "../dom.js";
import { cut } from "../format.js";

const WIDTH = 960;
const BOX = 42;
const STEP = 52;
const TOP = 34;
const COLUMNS = { service: { x: 0, w: 210 }, endpoint: { x: 330, w: 290 }, node: { x: 730, w: 230 } };

/**
 * @typedef {object} MapService
 * @property {string} title
 * @property {string} subtitle
 * @property {string} level
 *
 * @typedef {object} MapEndpoint
 * @property {string} key
 * @property {string} title
 * @property {string} subtitle
 * @property {string} level good, part or bad
 * @property {string} word its state, empty if there is nothing to say
 * @property {string} node
 * @property {number} rate new connections per second
 * @property {boolean} on whether new connections may go there
 *
 * @typedef {object} MapNode
 * @property {string} name
 * @property {string} level
 * @property {string} word
 */

export class ServiceMap {
  /** @type {Map<string, {group: SVGElement, parts: Record<string, SVGElement>}>} */
  #items = new Map();
  /** @type {Map<string, SVGElement>} */
  #edges = new Map();

  constructor() {
    this.edges = s("g");
    this.boxes = s("g");
    const headings = [["service", "Service"], ["endpoint", "Endpoints"], ["node", "Nodes"]].map(([column, text]) =>
      s("text", { class: "heading", x: COLUMNS[/** @type {"service"} */ (column)].x + 1, y: 14 }, text));
    this.element = s("svg", { class: "map", role: "img", "aria-label": "Map" }, headings, this.edges, this.boxes);
  }

  /**
   * @param {MapService} service
   * @param {MapEndpoint[]} endpoints
   * @param {MapNode[]} nodes those that have endpoints
   * @param {string} words the same for who does not see it
   */
  show(service, endpoints, nodes, words) {
    const order = new Map(nodes.map((each, index) => [each.name, index]));
    const rows = [...endpoints].sort((a, b) =>
      (order.get(a.node) ?? 1e9) - (order.get(b.node) ?? 1e9) || (a.title < b.title ? -1 : 1));
    /** @type {Map<string, number[]>} */
    const places = new Map();
    for (const [index, each] of rows.entries()) {
      const list = places.get(each.node);
      if (list) list.push(index);
      else places.set(each.node, [index]);
    }
    const nodeYs = spread(nodes.map((each) => middle(places.get(each.name) ?? [0])));
    const length = Math.max(rows.length, (Math.max(-1, ...nodeYs) - TOP) / STEP + 1, 1);
    const height = TOP + length * STEP;
    set(this.element, { viewBox: `0 0 ${WIDTH} ${height}`, "aria-label": words });
    const centre = TOP + ((rows.length || 1) * STEP - (STEP - BOX)) / 2 - BOX / 2;

    const seen = new Set(["service"]);
    const edges = new Set();
    this.#item("service", COLUMNS.service, centre, service.level, service.title, service.subtitle, "", "service");
    const highest = Math.max(...rows.map((each) => each.rate), 0) || 1;
    for (const [index, each] of rows.entries()) {
      const y = TOP + index * STEP;
      const key = `e ${each.key}`;
      seen.add(key);
      this.#item(key, COLUMNS.endpoint, y, each.level, each.title, each.subtitle, each.word, "endpoint");
      this.#edge(`s ${each.key}`, COLUMNS.service, centre, COLUMNS.endpoint, y, each, highest);
      edges.add(`s ${each.key}`);
      const node = order.get(each.node);
      if (node !== undefined) {
        this.#edge(`n ${each.key}`, COLUMNS.endpoint, y, COLUMNS.node, nodeYs[node], each, highest);
        edges.add(`n ${each.key}`);
      }
    }
    for (const [index, each] of nodes.entries()) {
      const key = `n ${each.name}`;
      seen.add(key);
      this.#item(key, COLUMNS.node, nodeYs[index], each.level, each.name, each.word, "", "node");
    }
    for (const [key, item] of this.#items) {
      if (!seen.has(key)) {
        this.#items.delete(key);
        item.group.remove();
      }
    }
    for (const [key, edge] of this.#edges) {
      if (!edges.has(key)) {
        this.#edges.delete(key);
        edge.remove();
      }
    }
  }

  /**
   * @param {string} key @param {{x: number, w: number}} column @param {number} y @param {string} level
   * @param {string} title @param {string} subtitle @param {string} word @param {string} kind
   */
  #item(key, column, y, level, title, subtitle, word, kind) {
    let item = this.#items.get(key);
    if (!item) {
      const inner = column.w;
      const parts = {
        box: s("rect", { class: "box", width: inner, height: BOX, rx: 9 }),
        mark: s("circle", { class: "mark", cx: 16, cy: BOX / 2, r: 4.5 }),
        title: s("text", { class: "strong", x: 30, y: 18 }),
        subtitle: s("text", { class: "soft", x: 30, y: 33.5 }),
        word: s("text", { x: inner - 12, y: 18, "text-anchor": "end" }),
        hint: s("title"),
      };
      const group = s("g", { class: "item new" }, Object.values(parts));
      item = { group, parts };
      this.#items.set(key, item);
      this.boxes.append(group);
      requestAnimationFrame(() => group.classList.remove("new"));
    }
    const isNew = item.group.classList.contains("new");
    item.group.setAttribute("class", `item ${kind} ${level}${isNew ? " new" : ""}`);
    item.group.style.transform = `translate(${column.x}px, ${y}px)`;
    item.parts.word.setAttribute("class", `soft ${level}`);
    const room = (column.w - 42) / 7.3;
    say(item.parts.title, cut(title, room - (word ? word.length + 2 : 0)));
    say(item.parts.subtitle, cut(subtitle, room * 1.12));
    say(item.parts.word, word);
    say(item.parts.hint, [title, subtitle, word].filter(Boolean).join("\n"));
  }

  /**
   * @param {string} key @param {{x: number, w: number}} from @param {number} y @param {{x: number, w: number}} to
   * @param {number} toY @param {MapEndpoint} endpoint @param {number} highest
   */
  #edge(key, from, y, to, toY, endpoint, highest) {
    let edge = this.#edges.get(key);
    if (!edge) {
      edge = s("path");
      this.#edges.set(key, edge);
      this.edges.append(edge);
    }
    const [x1, y1, x2, y2] = [from.x + from.w, y + BOX / 2, to.x, toY + BOX / 2];
    const bend = (x2 - x1) * 0.5;
    const flowing = endpoint.on && endpoint.rate > 0;
    set(edge, {
      d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
      class: `edge ${endpoint.on ? "on" : "off"}${flowing ? " flowing" : ""}`,
    });
    edge.style.strokeWidth = flowing ? String(1.6 + 2.6 * Math.sqrt(endpoint.rate / highest)) : "";
  }
}

/** @param {number[]} rows @returns {number} where a node's box is best */
function middle(rows) {
  return TOP + ((rows[0] + rows[rows.length - 1]) / 2) * STEP;
}

/** Boxes in their order without overlaps. @param {number[]} wanted */
function spread(wanted) {
  let free = -Infinity;
  return wanted.map((y) => {
    const place = Math.max(y, free);
    free = place + STEP;
    return place;
  });
}
