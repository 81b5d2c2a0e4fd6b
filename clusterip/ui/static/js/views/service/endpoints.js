/**
 * The endpoints as a table, with what each gets.
 */

import { h } from "../../dom.js";
import { bytes, count, plural, rate } from "../../format.js";
import { state } from "../../parts/state.js";
import { Table } from "../../parts/table.js";
import { stateOf } from "./mapping.js";

const MOST = 200;

/**
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {string} key
 * @param {import("../../data/servicetraffic.js").ServiceTraffic | null} traffic
 */
export function endpointsPanel(cluster, key, traffic) {
  const numbers = traffic ? ["Open", "New/s", "Sent/s", "Received/s", "Connections"] : [];
  const table = new Table("Endpoints", [
    { title: "Address", class: "mono" }, { title: "State" }, { title: "Pod" }, { title: "Node" }, { title: "Zone" },
    ...numbers.map((title) => ({ title, class: "number" })),
  ]);
  const note = h("span", { class: "soft" });
  return {
    element: h("section", { class: "card", "aria-labelledby": "endpoints-heading" },
      h("div", { class: "toolbar" }, h("h2", { id: "endpoints-heading" }, "Endpoints"), note), table.element),
    draw() {
      const found = cluster.endpointsOf(key).sort((a, b) => (a.node + a.address < b.node + b.address ? -1 : 1));
      const ports = new Set(cluster.slicesOf(key).flatMap((each) => each.ports.map((port) => `${port.port}/${port.protocol}`)));
      note.textContent = [
        ports.size ? `port ${[...ports].join(", ")}` : "",
        found.length > MOST ? `the first ${MOST} of ${plural(found.length, "endpoint")}` : "",
      ].filter(Boolean).join(" · ");
      table.show(found.slice(0, MOST).map((each) => {
        const { level, word } = stateOf(each);
        const flow = traffic?.endpoints.get(each.address);
        const figures = flow
          ? [count(flow.open), rate(flow.connections), bytes(flow.sent), bytes(flow.received), count(flow.total)]
          : ["", "", "", "", ""];
        return [
          each.address, state(level, word || "ready"), each.pod.split("/")[1] ?? "", each.node, each.zone,
          ...(traffic ? figures : []),
        ];
      }), "There are none: nothing answers at this Service.");
    },
  };
}
