/**
 * The figures of the DNS servers: those on the nodes, and Pods with the label of kube-dns.
 */

import { request } from "../api.js";
import { figuresOf } from "./metrics.js";

export const HISTORY = 90;

const PORT = 9153;
const PAUSE = 2000;
const EACH = 60;
const AT_ONCE = 4;

/** @typedef {import("./metrics.js").DnsFigures} DnsFigures */

/**
 * @typedef {object} DnsServer
 * @property {string} name
 * @property {boolean} told
 * @property {number} questions per second
 * @property {number | null} latency seconds, on average
 * @property {number | null} hits of the cache, 0 to 1
 * @property {number} total questions since its start
 */

export class DnsBoard {
  /** @type {DnsServer[]} */
  servers = [];
  /** @type {Map<string, {perSecond: number, total: number}>} by code */
  answers = new Map();
  questions = 0;
  /** @type {number[]} */
  history = [];

  /** @type {Map<string, DnsFigures>} */
  #before = new Map();
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #stopped = false;
  /** @type {number | undefined} */
  #timer;

  /** @param {() => string[]} nodes */
  constructor(nodes) {
    this.nodes = nodes;
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
  }

  async #round() {
    let paths = new Map();
    if (!document.hidden) {
      paths = await this.#paths();
      const found = await figures(paths);
      if (this.#stopped) return;
      this.#take(paths, found);
      for (const listener of this.#listeners) listener();
    }
    this.#timer = setTimeout(() => this.#round(), Math.max(PAUSE, paths.size * EACH));
  }

  /** @returns {Promise<Map<string, string>>} where to ask, by name */
  async #paths() {
    const paths = new Map(this.nodes().map((name) => [name, `/api/v1/nodes/${encodeURIComponent(name)}:${PORT}/proxy/metrics`]));
    try {
      const pods = await request("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns");
      for (const { metadata } of pods.items) {
        paths.set(metadata.name, `/api/v1/namespaces/kube-system/pods/${metadata.name}:${PORT}/proxy/metrics`);
      }
    } catch {
      // Without the right to list Pods there are those on the nodes.
    }
    return paths;
  }

  /** @param {Map<string, string>} paths @param {Map<string, DnsFigures>} found */
  #take(paths, found) {
    const any = found.size > 0;
    this.servers = [];
    this.answers = new Map();
    this.questions = 0;
    for (const name of [...paths.keys()].sort()) {
      const now = found.get(name);
      if (!now) {
        if (!any) this.servers.push({ name, told: false, questions: 0, latency: null, hits: null, total: 0 });
        continue;
      }
      const old = this.#before.get(name);
      const before = old && old.questions <= now.questions ? old : null;
      const seconds = before ? (now.time - before.time) / 1000 : 0;
      const perSecond = before && seconds > 0 ? (now.questions - before.questions) / seconds : 0;
      const timed = now.timed - (before?.timed ?? 0);
      const hits = now.hits - (before?.hits ?? 0);
      const looked = hits + now.misses - (before?.misses ?? 0);
      this.questions += perSecond;
      this.servers.push({
        name, told: true, questions: perSecond, total: now.questions,
        latency: timed > 0 ? (now.seconds - (before?.seconds ?? 0)) / timed : null,
        hits: looked > 0 ? hits / looked : null,
      });
      for (const [code, total] of now.answers) {
        const sum = this.answers.get(code) ?? { perSecond: 0, total: 0 };
        sum.total += total;
        if (before && seconds > 0) sum.perSecond += (total - (before.answers.get(code) ?? 0)) / seconds;
        this.answers.set(code, sum);
      }
    }
    if (this.#before.size) this.history = [...this.history, this.questions].slice(-HISTORY);
    this.#before = found;
  }
}

/** @param {Map<string, string>} paths @returns {Promise<Map<string, DnsFigures>>} of those that tell */
async function figures(paths) {
  const found = new Map();
  const waiting = [...paths];
  const worker = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      try {
        const read = figuresOf(await request(next[1], { accept: "*/*" }));
        if (read) found.set(next[0], read);
      } catch {
        // It is no DNS server, or one that does not tell.
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}
