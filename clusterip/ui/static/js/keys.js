/**
 * Keys that mean the same everywhere: / searches, Escape closes or goes back, ? shows the keys.
 */

import { h } from "./dom.js";
import { openDialog } from "./parts/dialog.js";
import { go, place } from "./router.js";

const KEYS = [
  ["/", "search"],
  ["↑ ↓ Page Home End", "move in the table"],
  ["Enter", "open"],
  ["Escape", "close, or go back"],
  ["g s, g n, g d", "Services, nodes, DNS"],
  ["?", "this list"],
];

let began = "";

/**
 * @param {{view: import("./app.js").View | null}} app
 * @param {KeyboardEvent} event
 */
export function keysOf(app, event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  const target = /** @type {HTMLElement} */ (event.target);
  const writing = target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (app.view?.escape?.()) return;
    if (writing && target.matches("textarea")) return target.blur();
    if (place().parts.length > 1 || place().parts[0] === "create") go("services");
    else if (writing) app.view?.focus?.();
    return;
  }
  if (writing) return;
  const previous = began;
  began = "";
  if (previous === "g" && "snd".includes(event.key)) {
    go({ s: "services", n: "nodes", d: "dns" }[event.key] ?? "services");
  } else if (event.key === "g") began = "g";
  else if (event.key === "/" && app.view?.search) {
    event.preventDefault();
    app.view.search();
  } else if (event.key === "?") help();
}

function help() {
  openDialog({ label: "keys" },
    h("form", { method: "dialog" },
      h("h2", { id: "keys" }, "Keys"),
      h("table", null, h("tbody", null, KEYS.map(([key, what]) => h("tr", null, h("th", { scope: "row" }, h("kbd", null, key)), h("td", null, what))))),
      h("div", { class: "toolbar" }, h("button", { class: "first" }, "Close"))));
}
