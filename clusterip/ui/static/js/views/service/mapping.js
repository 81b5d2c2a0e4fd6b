/**
 * What the map shows: each endpoint while there are few, else those of a node together.
 */

import { duration, plural, rate } from "../../format.js";

const MOST = 24;

/** @typedef {import("../../draw/map.js").MapEndpoint} MapEndpoint */
/** @typedef {import("../../draw/map.js").MapNode} MapNode */
/** @typedef {import("../../data/shapes.js").Endpoint} Endpoint */
/** @typedef {import("../../data/servicetraffic.js").ServiceTraffic} ServiceTraffic */

/**
 * @param {import("../../data/shapes.js").Service} service
 * @param {Endpoint[]} found
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {ServiceTraffic | null} traffic
 * @param {import("../../data/health.js").Health} how
 */
export function mapOf(service, found, cluster, traffic, how) {
  /** @type {Map<string, Endpoint[]>} */
  const byNode = new Map();
  for (const each of found) {
    const list = byNode.get(each.node);
    if (list) list.push(each);
    else byNode.set(each.node, [each]);
  }
  const names = [...byNode.keys()].filter(Boolean).sort();
  const shownNames = names.slice(0, MOST);
  const endpoints = found.length <= MOST
    ? found.map((each) => single(each, traffic))
    : shownNames.map((name) => together(name, byNode.get(name) ?? [], traffic));
  const nodes = shownNames.map((name) => nodeOf(name, cluster, traffic));
  const states = endpoints.map((each) => `${each.title}${each.word ? ` (${each.word})` : ""} on ${each.node || "no node"}`);
  const first = service.addresses[0] ?? service.external[0] ?? "";
  return {
    service: { title: service.name, subtitle: first, level: how.level },
    endpoints,
    nodes,
    words: `${service.name} sends to ${plural(found.length, "endpoint")}: ${states.slice(0, MOST).join(", ") || "none"}`,
    note: names.length > shownNames.length ? `The first ${MOST} of ${names.length} nodes are drawn; the tables have all.` : "",
  };
}

/** @param {Endpoint} each @returns {{level: string, word: string}} */
export function stateOf(each) {
  if (each.terminating) return { level: "part", word: each.serving ? "ending, serves" : "ending" };
  return each.ready ? { level: "good", word: "" } : { level: "bad", word: "not ready" };
}

/** @param {Endpoint} each @param {ServiceTraffic | null} traffic @returns {MapEndpoint} */
function single(each, traffic) {
  const flow = traffic?.endpoints.get(each.address);
  const pace = flow && flow.connections > 0 ? `${rate(flow.connections)}/s` : "";
  const { level, word } = stateOf(each);
  return {
    key: each.address,
    title: each.address,
    subtitle: each.pod.split("/")[1] ?? "no Pod",
    level,
    word: word || pace,
    node: each.node,
    rate: flow?.connections ?? 0,
    on: each.ready,
  };
}

/** @param {string} node @param {Endpoint[]} all @param {ServiceTraffic | null} traffic @returns {MapEndpoint} */
function together(node, all, traffic) {
  const ready = all.filter((each) => each.ready).length;
  const pace = all.reduce((sum, each) => sum + (traffic?.endpoints.get(each.address)?.connections ?? 0), 0);
  return {
    key: node,
    title: plural(all.length, "endpoint"),
    subtitle: ready === all.length ? "all ready" : `${ready} ready`,
    level: ready === all.length ? "good" : ready ? "part" : "bad",
    word: pace > 0 ? `${rate(pace)}/s` : "",
    node,
    rate: pace,
    on: ready > 0,
  };
}

/**
 * @param {string} name
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {ServiceTraffic | null} traffic
 * @returns {MapNode}
 */
function nodeOf(name, cluster, traffic) {
  const node = cluster.nodes.items.get(name);
  const told = traffic?.nodes.find((each) => each.name === name);
  if (node && !node.ready) return { name, level: "bad", word: "node is not ready" };
  if (!told || told.error) return { name, level: "none", word: node?.address ?? "" };
  if (!told.programmed) return { name, level: "part", word: told.trouble || "not programmed yet" };
  return { name, level: "good", word: told.changed ? `programmed in ${duration(told.latency)}` : "programmed" };
}
