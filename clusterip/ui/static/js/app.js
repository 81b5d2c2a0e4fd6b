/**
 * The frame: who the viewer is, which view is shown, and what all views share.
 */

import { ApiError, request } from "./api.js";
import { BusyBoard } from "./data/busy.js";
import { Cluster } from "./data/cluster.js";
import { forgetRights, may } from "./data/rights.js";
import { Sampler } from "./data/sampler.js";
import { h, replace, set } from "./dom.js";
import { keysOf } from "./keys.js";
import { announce } from "./parts/announce.js";
import { link, place } from "./router.js";
import { bearer, forget } from "./session.js";
import { nextTheme, theme } from "./theme.js";
import { viewOf, VIEWS } from "./views.js";
import { signInView } from "./views/signin.js";

const FEW_SERVICES = 500;
const NAMESPACE = "clusterip-namespace";

/**
 * What every view gets.
 * @typedef {object} Context
 * @property {Cluster} cluster
 * @property {string} namespace the only one that is shown, or empty
 * @property {Sampler | null} sampler null: the viewer may not ask the nodes
 * @property {BusyBoard | null} busy
 * @property {(namespace: string) => void} useNamespace
 *
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {string} title
 * @property {boolean} [fixed] it scrolls by itself
 * @property {() => void} [shown]
 * @property {() => void} [focus]
 * @property {() => void} [search]
 * @property {() => boolean} [escape] whether it had something to close
 * @property {() => void} stop
 */

export class App {
  /** @type {Context | null} */
  #context = null;
  /** @type {View | null} */
  #view = null;
  #main = /** @type {HTMLElement} */ (document.getElementById("main"));

  async start() {
    this.#drawBar("");
    addEventListener("hashchange", () => this.#navigate(true));
    addEventListener("keydown", (event) => keysOf(this, event));
    document.getElementById("skip")?.addEventListener("click", (event) => {
      event.preventDefault();
      if (this.#view?.focus) this.#view.focus();
      else this.#main.focus();
    });
    try {
      await this.#enter();
    } catch (error) {
      this.#askForToken(error);
    }
  }

  /** @returns {View | null} */
  get view() {
    return this.#view;
  }

  /** Begin as the viewer. Fails if the server does not know them. */
  async #enter() {
    const name = await whoAmI();
    this.#drawBar(name);
    await this.#begin();
  }

  async #begin() {
    this.#context?.cluster.stop();
    this.#context?.sampler?.stop();
    const namespace = sessionStorage.getItem(NAMESPACE) ?? "";
    const cluster = new Cluster(namespace);
    let sampler = null;
    if (await may("get", "nodes:proxy")) {
      sampler = new Sampler(
        () => [...cluster.nodes.items.keys()],
        () => (cluster.services.items.size <= FEW_SERVICES ? "all" : ""),
      );
    }
    this.#context = {
      cluster, namespace, sampler,
      busy: sampler && new BusyBoard(sampler),
      useNamespace: (chosen) => {
        sessionStorage.setItem(NAMESPACE, chosen);
        this.#begin();
      },
    };
    cluster.services.listenState(() => {
      if (cluster.services.error?.code === 401) this.#askForToken(cluster.services.error);
    });
    this.#navigate(false);
  }

  /** @param {boolean} moved the viewer came from another view */
  #navigate(moved) {
    if (!this.#context) return;
    const { parts, query } = place();
    this.#show(viewOf(parts, query, this.#context), moved);
    for (const anchor of document.querySelectorAll("#views a")) {
      const mine = anchor.getAttribute("href") === link(parts[0] === "create" ? "services" : parts[0] ?? "services");
      set(anchor, { "aria-current": mine ? "page" : null });
    }
  }

  /** @param {View} view @param {boolean} moved */
  #show(view, moved) {
    this.#view?.stop();
    this.#view = view;
    this.#main.classList.toggle("fixed", view.fixed === true);
    replace(this.#main, view.element);
    this.#main.scrollTop = 0;
    document.title = `${view.title} · clusterip`;
    view.shown?.();
    if (moved) {
      announce(view.title);
      if (view.focus) view.focus();
      else this.#main.focus();
    }
  }

  /** @param {unknown} error */
  #askForToken(error) {
    this.#context?.cluster.stop();
    this.#context?.sampler?.stop();
    this.#context = null;
    const had = bearer() !== "" || !(error instanceof ApiError && error.code === 401);
    forget();
    forgetRights();
    this.#drawBar("");
    this.#show(signInView(() => this.#enter(), had ? error : null), true);
  }

  /** @param {string} name */
  #drawBar(name) {
    const views = /** @type {HTMLElement} */ (document.getElementById("views"));
    replace(views, name ? VIEWS.map(({ path, title }) => h("a", { href: link(path) }, title)) : []);
    const end = /** @type {HTMLElement} */ (document.getElementById("bar-end"));
    const namespace = sessionStorage.getItem(NAMESPACE);
    replace(end,
      name && h("span", { class: "who", title: name }, name),
      name && namespace && h("button", {
        class: "quiet", title: "Show all namespaces",
        onclick: () => {
          sessionStorage.removeItem(NAMESPACE);
          this.#drawBar(name);
          this.#begin();
        },
      }, `Only ${namespace}`),
      name && bearer() && h("button", { class: "quiet", onclick: () => this.#askForToken(new ApiError(401, {})) }, "Sign out"),
      themeButton());
  }
}

function themeButton() {
  const button = h("button", {
    class: "quiet", id: "theme",
    onclick: () => show(nextTheme()),
  });
  /** @param {string} name */
  const show = (name) => {
    replace(button, `Theme: ${name}`);
    announce(`Theme: ${name}`);
  };
  replace(button, `Theme: ${theme()}`);
  return button;
}

/** @returns {Promise<string>} the viewer's name. Fails if the server does not know them. */
async function whoAmI() {
  try {
    const review = await request("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
      method: "POST",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    });
    const name = review.status?.userInfo?.username ?? "";
    if (name === "system:anonymous") throw new ApiError(401, { message: "Sign in to go on." });
    return name || "unknown";
  } catch (error) {
    // Before Kubernetes 1.28 a server cannot say.
    if (error instanceof ApiError && error.code === 404) return "unknown";
    throw error;
  }
}
