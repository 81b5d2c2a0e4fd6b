/**
 * What the kernel of a node was given for the Service, in the words of the tools that show it there.
 */

import { askProxy } from "../../data/sampler.js";
import { h, replace } from "../../dom.js";
import { openDialog } from "../../parts/dialog.js";
import { failure, notice } from "../../parts/notice.js";

const MOST = 500;

/** @param {string} node @param {string} namespace @param {string} name */
export function rulesDialog(node, namespace, name) {
  const place = h("div", { class: "rules" }, notice("Asking the node…", "calm"));
  openDialog({ label: "rules-heading", kind: "wide" },
    h("form", { method: "dialog" },
      h("h2", { id: "rules-heading" }, `${name} in the kernel of ${node}`), place,
      h("div", { class: "toolbar" }, h("button", { class: "first", autofocus: true }, "Close"))));
  ask(node, namespace, name).then(
    ({ mode, lines }) => replace(place,
      lines.length === 0 && notice("The kernel has nothing of it.", "calm"),
      lines.length > 0 && h("p", { class: "soft" }, `Mode ${mode}: ${lines.length}${lines.length < MOST ? "" : " or more"} lines`),
      lines.length > 0 && h("pre", { tabindex: 0, "aria-label": "Rules" }, lines.join("\n"))),
    (error) => replace(place, failure(error, "ask the node")));
}

/** @param {string} node @param {string} namespace @param {string} name @returns {Promise<{mode: string, lines: string[]}>} */
async function ask(node, namespace, name) {
  const query = new URLSearchParams({ namespace, name, rules: "true", traffic: "false" });
  const told = await askProxy(node, query.toString());
  return { mode: told.mode, lines: told.services?.[0]?.rules ?? [] };
}
