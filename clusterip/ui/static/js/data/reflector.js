/**
 * A collection that follows the server: a list in pages, then a watch from where the list ended; again from
 * the list when the server no longer knows how to go on (410).
 */

import { ApiError, request, watch } from "../api.js";

const PAGE = 500;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;

/**
 * @template T
 * @typedef {object} Follower
 * @property {(objects: any[], first: boolean) => void} page some of the list; `first`: the list begins
 * @property {() => void} listed the list is whole: what was not in it is gone
 * @property {(type: string, object: any) => void} event
 * @property {(error: ApiError | null) => void} state null: all is well
 */

export class Reflector {
  #stopped = false;
  #version = "";
  #wait = FIRST_WAIT;
  /** @type {(() => void) | null} */
  #endWatch = null;
  /** @type {number | undefined} */
  #timer;
  #abort = new AbortController();

  /**
   * @param {string} path of the collection
   * @param {string} query without a question mark
   * @param {Follower<any>} follower
   */
  constructor(path, query, follower) {
    this.path = path;
    this.query = query;
    this.follower = follower;
    this.#list();
  }

  stop() {
    this.#stopped = true;
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#endWatch?.();
  }

  async #list() {
    let next = "";
    let first = true;
    try {
      do {
        const parts = [this.query, `limit=${PAGE}`, next && `continue=${encodeURIComponent(next)}`];
        const list = await request(`${this.path}?${parts.filter(Boolean).join("&")}`, {
          signal: this.#abort.signal,
        });
        if (this.#stopped) return;
        this.follower.page(list.items ?? [], first);
        first = false;
        next = list.metadata.continue ?? "";
        this.#version = list.metadata.resourceVersion;
      } while (next);
    } catch (error) {
      if (!this.#stopped) this.#fail(/** @type {ApiError} */ (error), () => this.#list());
      return;
    }
    this.follower.listed();
    this.follower.state(null);
    this.#watch();
  }

  #watch() {
    const parts = [this.query, "watch=1", "allowWatchBookmarks=true", `resourceVersion=${this.#version}`];
    const began = performance.now();
    let relist = false;
    this.#endWatch = watch(
      `${this.path}?${parts.filter(Boolean).join("&")}`,
      (event) => {
        if (event.type === "ERROR") {
          relist = true;
          return;
        }
        this.#wait = FIRST_WAIT;
        this.#version = event.object.metadata.resourceVersion;
        if (event.type !== "BOOKMARK") this.follower.event(event.type, event.object);
      },
      () => {
        if (this.#stopped) return;
        // Why a WebSocket could not be had is not told: a list is answered with the reason.
        if (relist || performance.now() - began < 1000) this.#later(() => this.#list());
        else this.#watch();
      },
    );
  }

  /** @param {ApiError} error @param {() => void} again */
  #fail(error, again) {
    this.follower.state(error);
    this.#later(again);
  }

  /** @param {() => void} action */
  #later(action) {
    this.#timer = setTimeout(action, this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
