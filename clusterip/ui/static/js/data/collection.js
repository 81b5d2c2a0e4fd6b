/**
 * Objects by key, kept as the server has them; whoever listens is told which keys have changed.
 */

import { Reflector } from "./reflector.js";
import { keyOf } from "./shapes.js";

/** @template {{key: string}} T */
export class Collection {
  /** @type {Map<string, T>} */
  items = new Map();
  /** Whether all of them are here. */
  complete = false;
  /** @type {import("../api.js").ApiError | null} */
  error = null;

  /** @type {Set<string> | null} */
  #unseen = null;
  /** @type {Set<(key: string, now: T | undefined, before: T | undefined) => void>} */
  #listeners = new Set();
  /** @type {Set<() => void>} */
  #stateListeners = new Set();
  #reflector;

  /**
   * @param {string} path
   * @param {(object: any) => T} shape what is kept of an object
   * @param {string} [query]
   */
  constructor(path, shape, query = "") {
    this.shape = shape;
    this.#reflector = new Reflector(path, query, {
      page: (objects, first) => {
        if (first) this.#unseen = new Set(this.items.keys());
        for (const object of objects) this.#put(object);
        this.#tellState();
      },
      listed: () => {
        for (const key of this.#unseen ?? []) this.#remove(key);
        this.#unseen = null;
        this.complete = true;
        this.#tellState();
      },
      event: (type, object) => {
        if (type === "DELETED") this.#remove(keyOf(object.metadata));
        else this.#put(object);
      },
      state: (error) => {
        this.error = error;
        this.#tellState();
      },
    });
  }

  /** @param {(key: string, now: T | undefined, before: T | undefined) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when the list is complete, fails, or comes back. @param {() => void} listener */
  listenState(listener) {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  stop() {
    this.#reflector.stop();
    this.#listeners.clear();
    this.#stateListeners.clear();
  }

  #tellState() {
    for (const listener of this.#stateListeners) listener();
  }

  /** @param {any} object */
  #put(object) {
    const now = this.shape(object);
    this.#unseen?.delete(now.key);
    const before = this.items.get(now.key);
    this.items.set(now.key, now);
    for (const listener of this.#listeners) listener(now.key, now, before);
  }

  /** @param {string} key */
  #remove(key) {
    const before = this.items.get(key);
    if (!this.items.delete(key)) return;
    for (const listener of this.#listeners) listener(key, undefined, before);
  }
}
