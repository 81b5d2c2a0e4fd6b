/**
 * One Service's traffic and programming: by node and by endpoint, with a history.
 */

import { add, endpointFlowsOf, flowsOf, nothing } from "./rates.js";
import { Sampler } from "./sampler.js";

export const HISTORY = 90;

/** @typedef {import("./rates.js").Flow} Flow */

/**
 * @typedef {object} OnNode
 * @property {string} name
 * @property {string} error why it does not tell
 * @property {string} mode
 * @property {boolean} known the proxy has the Service
 * @property {boolean} programmed
 * @property {string} trouble what is wrong with the proxy
 * @property {number} changed
 * @property {number} latency
 * @property {number} chosen endpoints that it sends to
 * @property {string} accounting
 * @property {Flow} flow
 */

export class ServiceTraffic {
  /** @type {OnNode[]} */
  nodes = [];
  /** @type {Map<string, Flow & {total: number}>} by address, without port */
  endpoints = new Map();
  /** @type {Flow} */
  sum = nothing();
  /** @type {number[]} */
  history = [];
  /** @type {string[]} */
  unprogrammed = [];

  /** @param {import("./cluster.js").Cluster} cluster @param {string} namespace @param {string} name */
  constructor(cluster, namespace, name) {
    const query = new URLSearchParams({ namespace, name }).toString();
    this.sampler = new Sampler(() => [...cluster.nodes.items.keys()], () => query);
    this.#takes = this.sampler.listen(() => this.#take());
  }

  #takes;

  /** @param {() => void} listener */
  listen(listener) {
    return this.sampler.listen(listener);
  }

  stop() {
    this.#takes();
    this.sampler.stop();
  }

  #take() {
    this.endpoints = new Map();
    this.sum = nothing();
    this.nodes = [];
    for (const [name, sample] of this.sampler.nodes) {
      const { now } = sample;
      const found = flowsOf(sample)[0];
      const service = found?.service;
      this.nodes.push({
        name,
        error: sample.error,
        mode: now?.mode ?? "",
        known: service !== undefined,
        programmed: service?.programmed ?? false,
        trouble: now?.failing || (now && !now.synced ? "the proxy is starting" : ""),
        changed: service?.changed ?? 0,
        latency: service?.latency ?? 0,
        chosen: Math.max(0, ...(service?.ports ?? []).map((port) => port.chosen)),
        accounting: now?.accounting ?? "",
        flow: found?.flow ?? nothing(),
      });
      if (found) add(this.sum, { ...found.flow }, undefined, 1);
      for (const [where, flow] of endpointFlowsOf(sample)) {
        const address = addressOf(where);
        let sum = this.endpoints.get(address);
        if (!sum) this.endpoints.set(address, (sum = { ...nothing(), total: 0 }));
        sum.total += flow.total;
        add(sum, flow, undefined, 1);
      }
    }
    this.nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.unprogrammed = this.nodes.filter((each) => each.known && !each.programmed).map((each) => each.name);
    if (this.sampler.rounds > 1) this.history = [...this.history, this.sum.connections].slice(-HISTORY);
  }
}

/** @param {string} text `ADDRESS:PORT`, `[ADDRESS]:PORT` */
function addressOf(text) {
  return text.slice(0, text.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
