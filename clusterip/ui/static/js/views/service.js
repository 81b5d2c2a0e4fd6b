/**
 * One Service: who it sends to, what each node's kernel has of it, and what happens.
 */

import { ServiceMap } from "../draw/map.js";
import { h, replace, say } from "../dom.js";
import { age, since } from "../format.js";
import { health } from "../data/health.js";
import { kindOf } from "../data/shapes.js";
import { may } from "../data/rights.js";
import { ServiceTraffic } from "../data/servicetraffic.js";
import { failure, notice } from "../parts/notice.js";
import { state } from "../parts/state.js";
import { deleteDialog } from "./deleting.js";
import { editView } from "./editor.js";
import { endpointsPanel } from "./service/endpoints.js";
import { eventsPanel } from "./service/events.js";
import { mapOf } from "./service/mapping.js";
import { nodesPanel } from "./service/nodes.js";
import { tracingPanel } from "./service/tracing.js";
import { trafficPanel } from "./service/traffic.js";
import { workloadsPanel } from "./service/workloads.js";
import { rememberRow } from "./services.js";

/** @typedef {import("../app.js").Context} Context */

/**
 * @param {Context} context
 * @param {string} namespace
 * @param {string} name
 * @returns {import("../app.js").View}
 */
export function serviceView(context, namespace, name) {
  const { cluster } = context;
  const key = `${namespace}/${name}`;
  rememberRow(key);
  if (context.sampler) context.sampler.paused = true;
  const traffic = context.sampler ? new ServiceTraffic(cluster, namespace, name) : null;

  const map = new ServiceMap();
  const heading = h("h1", { id: "heading", tabindex: -1 }, name);
  const condition = h("span");
  const actions = h("div", { class: "toolbar" });
  const facts = h("dl", { class: "facts" });
  const said = h("div");
  const mapNote = h("p", { class: "soft" });
  const endpoints = endpointsPanel(cluster, key, traffic);
  const nodes = nodesPanel(cluster, traffic, namespace, name);
  const flows = trafficPanel(traffic);
  const workloads = workloadsPanel(cluster, key);
  const tracing = tracingPanel(context, namespace, name);
  const events = eventsPanel(cluster, key);
  const panels = h("div", { class: "panels" },
    h("section", { class: "card", "aria-labelledby": "map-heading" },
      h("h2", { id: "map-heading", class: "visually-hidden" }, "Map"), map.element, mapNote),
    flows.element, tracing.element, nodes.element, endpoints.element, workloads.element, events.element);
  const page = h("section", { class: "view", "aria-labelledby": "heading" },
    h("p", { class: "crumbs" }, h("a", { href: "#/services" }, "Services"), ` / ${namespace}`),
    h("div", { class: "title" }, heading, condition, actions),
    said, facts, panels);
  const element = h("div", { class: "place" }, page);
  /** @type {import("../app.js").View | null} */
  let editor = null;

  const open = (/** @type {import("../app.js").View} */ view) => {
    editor = view;
    replace(element, view.element);
    view.focus?.();
  };
  const close = () => {
    editor?.stop();
    editor = null;
    replace(element, page);
    heading.focus();
  };

  Promise.all([may("update", "services", namespace, name), may("delete", "services", namespace, name)]).then(
    ([edits, deletes]) => {
      replace(actions,
        h("button", {
          onclick: () => open(editView({ path: pathOf(namespace, name), title: name, readOnly: !edits, done: close })),
        }, edits ? "Edit" : "YAML"),
        deletes && h("button", { class: "danger", onclick: () => deleteDialog(namespace, name) }, "Delete"));
    });

  function draw() {
    const service = cluster.services.items.get(key);
    if (!service) {
      panels.hidden = facts.hidden = actions.hidden = true;
      replace(condition);
      if (!cluster.services.complete) return replace(said, cluster.services.error ? failure(cluster.services.error) : notice("Loading…", "calm"));
      return replace(said, notice(`There is no Service ${name} in ${namespace}; it may have been deleted.`));
    }
    panels.hidden = facts.hidden = actions.hidden = false;
    const errors = [cluster.services.error, cluster.slices.error].filter((each) => each !== null);
    replace(said, errors.map((each) => failure(each, "follow the Service")));
    const found = cluster.endpointsOf(key);
    const how = health(service, found, traffic?.unprogrammed ?? []);
    replace(condition, state(how.level, how.text));
    replace(facts, factsOf(service).map(([title, value]) => h("div", null, h("dt", null, title), h("dd", null, value))));
    const shown = mapOf(service, found, cluster, traffic, how);
    map.show(shown.service, shown.endpoints, shown.nodes, shown.words);
    say(mapNote, shown.note);
    mapNote.hidden = !shown.note;
    for (const panel of [endpoints, nodes, flows, tracing, workloads, events]) panel.draw();
  }

  let scheduled = 0;
  const later = () => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  const ends = [
    cluster.listen((changed) => changed === key && later()),
    cluster.services.listenState(later),
    cluster.slices.listenState(later),
    cluster.nodes.listen(later),
    traffic?.listen(later),
  ];
  const clock = setInterval(later, 15000);
  draw();
  return {
    element,
    title: `${name} in ${namespace}`,
    focus: () => heading.focus(),
    escape: () => {
      if (!editor) return false;
      close();
      return true;
    },
    stop: () => {
      cancelAnimationFrame(scheduled);
      clearInterval(clock);
      for (const end of ends) end?.();
      editor?.stop();
      traffic?.stop();
      events.stop();
      tracing.stop();
      workloads.stop();
      if (context.sampler) context.sampler.paused = false;
    },
  };
}

/** @param {string} namespace @param {string} name */
function pathOf(namespace, name) {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
}

/**
 * @param {import("../data/shapes.js").Service} service
 * @returns {[string, import("../dom.js").Child | import("../dom.js").Child[]][]}
 */
function factsOf(service) {
  /** @type {[string, any][]} */
  const facts = [
    ["Type", kindOf(service)],
    ["ClusterIP", service.addresses.length ? h("span", { class: "mono" }, service.addresses.join(", ")) : ""],
    [service.type === "ExternalName" ? "Name that it stands for" : "External addresses",
      service.external.length ? h("span", { class: "mono" }, service.external.join(", ")) : ""],
    ["Ports", h("span", { class: "mono" }, service.ports.map(portText).join(", "))],
    ["DNS name", h("span", { class: "mono" }, `${service.name}.${service.namespace}.svc`)],
    ["Selector", service.selector && h("span", { class: "mono" },
      Object.entries(service.selector).map(([name, value]) => `${name}=${value}`).join(", "))],
    ["Session affinity", service.affinity],
    ["Traffic", service.traffic],
    ["Age", age(since(service.created))],
  ];
  return facts.filter(([, value]) => value);
}

/** @param {import("../data/shapes.js").Port} port */
function portText(port) {
  const name = port.name ? `${port.name} ` : "";
  const node = port.nodePort ? `, node port ${port.nodePort}` : "";
  const target = String(port.target) === String(port.port) ? "" : ` → ${port.target}`;
  return `${name}${port.port}/${port.protocol}${target}${node}`;
}

