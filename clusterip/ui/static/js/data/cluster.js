/**
 * The cluster as the page knows it: Services, their slices, the nodes.
 */

import { Collection } from "./collection.js";
import { node, service, slice } from "./shapes.js";

/** @typedef {import("./shapes.js").Endpoint} Endpoint */
/** @typedef {import("./shapes.js").Slice} Slice */

export class Cluster {
  /** @type {Map<string, Set<string>>} keys of slices by Service */
  #slicesOf = new Map();
  /** @type {Set<(key: string) => void>} */
  #listeners = new Set();

  /** @param {string} namespace only this one; empty: all */
  constructor(namespace) {
    const within = namespace ? `/namespaces/${namespace}` : "";
    this.services = new Collection(`/api/v1${within}/services`, service);
    this.slices = new Collection(`/apis/discovery.k8s.io/v1${within}/endpointslices`, slice);
    this.nodes = new Collection("/api/v1/nodes", node);
    this.services.listen((key) => this.#tell(key));
    this.slices.listen((key, now, before) => {
      if (before && before.service !== now?.service) {
        this.#slicesOf.get(before.service)?.delete(key);
        this.#tell(before.service);
      }
      if (now) {
        let keys = this.#slicesOf.get(now.service);
        if (!keys) this.#slicesOf.set(now.service, (keys = new Set()));
        keys.add(key);
        this.#tell(now.service);
      }
    });
  }

  /** Called with a Service's key when it or its endpoints have changed. @param {(key: string) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param {string} key of a Service @returns {Slice[]} */
  slicesOf(key) {
    const found = [];
    for (const each of this.#slicesOf.get(key) ?? []) {
      const slice = this.slices.items.get(each);
      if (slice) found.push(slice);
    }
    return found;
  }

  /**
   * A Service's endpoints, each address once, those of the first family if there are two.
   * @param {string} key
   * @returns {Endpoint[]}
   */
  endpointsOf(key) {
    const slices = this.slicesOf(key);
    const families = new Set(slices.map((each) => each.family));
    const family = families.has("IPv4") ? "IPv4" : [...families][0];
    /** @type {Map<string, Endpoint>} */
    const found = new Map();
    for (const slice of slices) {
      if (slice.family !== family) continue;
      for (const endpoint of slice.endpoints) {
        if (!found.get(endpoint.address)?.ready) found.set(endpoint.address, endpoint);
      }
    }
    return [...found.values()];
  }

  stop() {
    this.services.stop();
    this.slices.stop();
    this.nodes.stop();
    this.#listeners.clear();
  }

  /** @param {string} key */
  #tell(key) {
    for (const listener of this.#listeners) listener(key);
  }
}
