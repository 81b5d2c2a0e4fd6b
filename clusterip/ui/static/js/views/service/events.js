/**
 * What was reported of the Service and its Pods.
 */

import { h } from "../../dom.js";
import { Collection } from "../../data/collection.js";
import { keyOf } from "../../data/shapes.js";
import { age, since } from "../../format.js";
import { state } from "../../parts/state.js";
import { Table } from "../../parts/table.js";

const MOST = 30;

/**
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {string} key
 */
export function eventsPanel(cluster, key) {
  const [namespace, name] = key.split("/");
  const table = new Table("Events", [
    { title: "When" }, { title: "What" }, { title: "Of" }, { title: "Message", class: "wrap" },
  ]);
  const events = new Collection(`/api/v1/namespaces/${encodeURIComponent(namespace)}/events`, shape);
  let scheduled = 0;
  const later = () => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  events.listen(later);
  events.listenState(later);

  function draw() {
    const slices = cluster.slicesOf(key);
    const names = new Set([
      `Service/${name}`,
      ...slices.map((each) => `EndpointSlice/${each.key.split("/")[1]}`),
      ...slices.flatMap((each) => each.endpoints.map((endpoint) => `Pod/${endpoint.pod.split("/")[1]}`)),
    ]);
    const found = [...events.items.values()].filter((each) => names.has(each.of)).sort((a, b) => (a.time < b.time ? 1 : -1));
    const nothing = events.error ? `Events cannot be listed: ${events.error.message}` : "Nothing was reported lately.";
    table.show(found.slice(0, MOST).map((each) => [
      `${age(since(each.time))} ago`,
      state(each.warning ? "part" : "none", each.reason),
      each.of.replace("/", " "),
      each.count > 1 ? `${each.message} (${each.count} times)` : each.message,
    ]), nothing);
  }

  return {
    element: h("section", { class: "card half", "aria-labelledby": "events-heading" },
      h("div", { class: "toolbar" }, h("h2", { id: "events-heading" }, "Events")), table.element),
    draw,
    stop() {
      cancelAnimationFrame(scheduled);
      events.stop();
    },
  };
}

/** @param {any} event */
function shape(event) {
  return {
    key: keyOf(event.metadata),
    of: `${event.involvedObject.kind}/${event.involvedObject.name}`,
    time: event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp,
    reason: event.reason ?? "",
    message: event.message ?? "",
    warning: event.type === "Warning",
    count: event.series?.count ?? event.count ?? 1,
  };
}
