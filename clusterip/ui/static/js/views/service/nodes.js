/**
 * What each node's proxy has of the Service.
 */

import { h, replace } from "../../dom.js";
import { age, bytes, count, duration, rate } from "../../format.js";
import { notice } from "../../parts/notice.js";
import { state } from "../../parts/state.js";
import { Table } from "../../parts/table.js";
import { rulesDialog } from "./rules.js";

/**
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {import("../../data/servicetraffic.js").ServiceTraffic | null} traffic
 * @param {string} namespace
 * @param {string} name
 */
export function nodesPanel(cluster, traffic, namespace, name) {
  const table = new Table("What each node's proxy has", [
    { title: "Node" }, { title: "In the kernel" }, { title: "Mode" }, { title: "Last change took", class: "number" },
    { title: "Changed", class: "number" }, { title: "Sends to", class: "number" }, { title: "Open", class: "number" },
    { title: "New/s", class: "number" }, { title: "Bytes/s", class: "number" }, { title: "" },
  ]);
  const place = h("div", { onclick: showRules }, traffic ? table.element : notice("What the nodes have is not shown: that takes the right to get nodes/proxy.", "calm"));
  /** @param {MouseEvent} event */
  function showRules(event) {
    const node = /** @type {HTMLElement} */ (event.target).dataset.node;
    if (node) rulesDialog(node, namespace, name);
  }

  return {
    element: h("section", { class: "card", "aria-labelledby": "nodes-heading" },
      h("div", { class: "toolbar" }, h("h2", { id: "nodes-heading" }, "On the nodes")), place),
    draw() {
      if (!traffic) return;
      if (cluster.nodes.error) return replace(place, notice(`The nodes cannot be listed: ${cluster.nodes.error.message}`));
      const now = Date.now() / 1000;
      table.show(traffic.nodes.map((each) => [
        each.name,
        programmed(each),
        each.mode,
        each.changed ? duration(each.latency) : "",
        each.changed ? `${age(now - each.changed)} ago` : "",
        each.known ? count(each.chosen) : "",
        count(each.flow.open),
        rate(each.flow.connections),
        bytes(each.flow.sent + each.flow.received),
        each.known && h("button", { class: "quiet", "data-node": each.name, "aria-label": `Rules on ${each.name}` }, "Rules"),
      ]), "Asking the nodes…");
    },
  };
}

/** @param {import("../../data/servicetraffic.js").OnNode} each */
function programmed(each) {
  if (each.error) return state("none", `does not tell: ${each.error.slice(0, 60)}`);
  if (!each.known) return state("none", "nothing to program");
  if (each.trouble) return state("bad", each.trouble);
  return each.programmed ? state("good", "programmed") : state("part", "not yet");
}
