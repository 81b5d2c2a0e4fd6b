/**
 * Each node and its proxy.
 */

import { flowsOf, nothing } from "../data/rates.js";
import { h, replace } from "../dom.js";
import { bytes, count, duration, rate } from "../format.js";
import { failure, notice } from "../parts/notice.js";
import { state } from "../parts/state.js";
import { Table } from "../parts/table.js";

/** @param {import("../app.js").Context} context @returns {import("../app.js").View} */
export function nodesView(context) {
  const { cluster, sampler } = context;
  const table = new Table("Nodes", [
    { title: "Node" }, { title: "State" }, { title: "Address", class: "mono" }, { title: "Zone" },
    ...(sampler
      ? [{ title: "Proxy" }, { title: "Mode" },
        ...["Open", "New/s", "Sent/s", "Received/s", "Slowest change"].map((title) => ({ title, class: "number" }))]
      : []),
  ]);
  const said = h("div");
  const heading = h("h1", { id: "heading", tabindex: -1 }, "Nodes");
  const element = h("section", { class: "view", "aria-labelledby": "heading" },
    h("div", { class: "title" }, heading), said, h("div", { class: "card" }, table.element));

  function draw() {
    replace(said,
      cluster.nodes.error && failure(cluster.nodes.error, "list nodes"),
      !sampler && notice("What proxies tell is not shown: that takes the right to get nodes/proxy.", "calm"));
    const nodes = [...cluster.nodes.items.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    table.show(nodes.map((node) => [
      node.name,
      node.ready ? state("good", "ready") : state("bad", "not ready"),
      node.address,
      node.zone,
      ...(sampler ? proxyCells(sampler.nodes.get(node.name)) : []),
    ]), cluster.nodes.complete ? "There are no nodes." : "Loading…");
  }

  const ends = [cluster.nodes.listen(draw), cluster.nodes.listenState(draw), sampler?.listen(draw)];
  draw();
  return {
    element, title: "Nodes", focus: () => heading.focus(),
    stop: () => {
      for (const end of ends) end?.();
    },
  };
}

/** @param {import("../data/sampler.js").NodeSample | undefined} sample */
function proxyCells(sample) {
  if (!sample) return [state("none", "asking…"), "", "", "", "", "", ""];
  const { now } = sample;
  if (!now) return [state("none", `does not tell: ${sample.error.slice(0, 80)}`), "", "", "", "", "", ""];
  const sum = nothing();
  let latency = 0;
  for (const { service, flow } of flowsOf(sample)) {
    sum.open += flow.open;
    sum.connections += flow.connections;
    sum.sent += flow.sent;
    sum.received += flow.received;
    if (service.changed) latency = Math.max(latency, service.latency);
  }
  return [
    proxyState(now), now.mode, count(sum.open), rate(sum.connections), bytes(sum.sent), bytes(sum.received),
    latency ? duration(latency) : "",
  ];
}

/** @param {import("../data/sampler.js").NodeServices} now */
function proxyState(now) {
  if (now.failing) return state("bad", `failing: ${now.failing}`);
  if (!now.synced) return state("part", "starting");
  return now.refused.length ? state("part", `${now.refused.length} parts refused`) : state("good", "in step");
}
