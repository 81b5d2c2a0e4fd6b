/**
 * What the nodes' proxies tell (`/services` on their metrics port), asked for again and again while the page
 * is seen, through the API server as the viewer.
 */

import { request } from "../api.js";

const PROXY_PORT = 10249;
const SHORTEST = 2000;
const AT_ONCE = 4;
/** Milliseconds for each node, so that a large cluster is not asked more often than it can bear. */
const EACH = 60;

/**
 * @typedef {object} EndpointTraffic
 * @property {string} address
 * @property {boolean} chosen
 * @property {number} open
 * @property {number} connections
 * @property {number} sent
 * @property {number} received
 *
 * @typedef {object} PortServices
 * @property {string} name
 * @property {string} protocol
 * @property {string} family
 * @property {string} clusterIP
 * @property {number} port
 * @property {number} chosen
 * @property {number} open
 * @property {number} connections
 * @property {number} sent
 * @property {number} received
 * @property {EndpointTraffic[]} endpoints
 *
 * @typedef {object} OneService
 * @property {string} namespace
 * @property {string} name
 * @property {boolean} programmed
 * @property {number} changed
 * @property {number} latency
 * @property {PortServices[]} ports
 *
 * @typedef {object} NodeServices what a proxy answers
 * @property {string} node
 * @property {string} mode
 * @property {number} time
 * @property {number} since
 * @property {string} accounting
 * @property {number} tracked
 * @property {number} seconds
 * @property {boolean} synced
 * @property {number} lastWritten
 * @property {string} failing
 * @property {string[]} refused
 * @property {OneService[]} services
 *
 * @typedef {object} NodeSample
 * @property {NodeServices | null} now null: it does not tell
 * @property {NodeServices | null} before an answer that can be compared with it
 * @property {string} error
 */

/**
 * @param {string} node
 * @param {string} query
 * @returns {Promise<any>} what its proxy answers: of ours, `NodeServices`
 */
export function askProxy(node, query) {
  const path = `/api/v1/nodes/${encodeURIComponent(node)}:${PROXY_PORT}/proxy/services`;
  return request(`${path}?${query}`, { accept: "*/*" });
}

export class Sampler {
  /** @type {Map<string, NodeSample>} */
  nodes = new Map();
  /** How many rounds have ended. */
  rounds = 0;
  /** While somebody else asks the nodes. */
  paused = false;

  #stopped = false;
  /** @type {number | undefined} */
  #timer;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /**
   * @param {() => string[]} names of the nodes there are
   * @param {() => string} query what to ask of them
   */
  constructor(names, query) {
    this.names = names;
    this.query = query;
    this.#round();
  }

  /** Called after each round. @param {() => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  async #round() {
    const names = this.names();
    if (names.length && !document.hidden && !this.paused) {
      const waiting = [...names];
      const worker = async () => {
        for (let name = waiting.pop(); name !== undefined && !this.#stopped; name = waiting.pop()) {
          await this.#ask(name);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (this.#stopped) return;
      const there = new Set(names);
      for (const name of this.nodes.keys()) if (!there.has(name)) this.nodes.delete(name);
      this.rounds += 1;
      for (const listener of this.#listeners) listener();
    }
    const wait = names.length ? Math.max(SHORTEST, names.length * EACH) : 200;
    this.#timer = setTimeout(() => this.#round(), wait);
  }

  /** @param {string} name */
  async #ask(name) {
    const last = this.nodes.get(name)?.now ?? null;
    try {
      const now = await askProxy(name, this.query());
      if (!Array.isArray(now?.services)) throw new Error("it is no proxy of clusterip");
      this.nodes.set(name, { now, before: last?.since === now.since ? last : null, error: "" });
    } catch (error) {
      this.nodes.set(name, { now: null, before: null, error: /** @type {Error} */ (error).message });
    }
  }
}
