/**
 * How busy each Service is over all nodes, with a small history.
 */

import { flowsOf, nothing } from "./rates.js";

const LENGTH = 60;

/** @typedef {import("./rates.js").Flow & {unprogrammed: string[], latency: number, history: number[]}} Busy */

export class BusyBoard {
  /** @type {Map<string, Busy>} */
  services = new Map();

  /** @param {import("./sampler.js").Sampler} sampler */
  constructor(sampler) {
    this.sampler = sampler;
    sampler.listen(() => this.#take());
  }

  #take() {
    /** @type {Map<string, Busy>} */
    const found = new Map();
    for (const [node, sample] of this.sampler.nodes) {
      for (const { service, flow } of flowsOf(sample)) {
        const key = `${service.namespace}/${service.name}`;
        let sum = found.get(key);
        if (!sum) found.set(key, (sum = { ...nothing(), unprogrammed: [], latency: 0, history: [] }));
        sum.open += flow.open;
        sum.connections += flow.connections;
        sum.sent += flow.sent;
        sum.received += flow.received;
        if (!service.programmed) sum.unprogrammed.push(node);
        if (service.changed) sum.latency = Math.max(sum.latency, service.latency);
      }
    }
    for (const [key, sum] of found) {
      sum.history = [...(this.services.get(key)?.history ?? []), sum.connections].slice(-LENGTH);
    }
    this.services = found;
  }
}
