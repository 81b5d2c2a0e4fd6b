/**
 * All Services, live.
 */

import { h, replace, say, set } from "../dom.js";
import { bytes, plural, rate } from "../format.js";
import { health } from "../data/health.js";
import { kindOf } from "../data/shapes.js";
import { may } from "../data/rights.js";
import { announce } from "../parts/announce.js";
import { Grid } from "../parts/grid.js";
import { failure, notice } from "../parts/notice.js";
import { showState } from "../parts/state.js";
import { Spark } from "../parts/spark.js";
import { go, link } from "../router.js";

/** @typedef {import("../data/shapes.js").Service} Service */
/** @typedef {import("../app.js").Context} Context */

const HISTORY = 60;
/** Milliseconds between two orders of the whole table, however much changes. */
const SETTLE = 120;

/** What the viewer has chosen, for when they come back. */
const kept = { search: "", sort: "name", descending: false, last: "" };

/** @param {Context} context */
export function servicesView(context) {
  const { cluster, busy } = context;
  /** @type {Map<string, import("../data/health.js").Health>} */
  const healths = new Map();
  /** @type {number | undefined} */
  let timer;

  /** @param {Service} service */
  const healthOf = (service) => {
    let found = healths.get(service.key);
    if (!found) {
      const unprogrammed = busy?.services.get(service.key)?.unprogrammed;
      found = health(service, cluster.endpointsOf(service.key), unprogrammed);
      healths.set(service.key, found);
    }
    return found;
  };

  /** @type {import("../parts/grid.js").Column<Service>[]} */
  const columns = [
    { id: "name", title: "Name", sortable: true, show: showName },
    { id: "namespace", title: "Namespace", sortable: true, class: "soft", show: (cell, each) => say(cell, each.namespace) },
    { id: "type", title: "Type", sortable: true, show: (cell, each) => say(cell, kindOf(each)) },
    { id: "address", title: "ClusterIP", class: "mono", show: (cell, each) => say(cell, addressOf(each)) },
    { id: "ports", title: "Ports", class: "mono soft", show: (cell, each) => say(cell, portsOf(each)) },
    { id: "endpoints", title: "Endpoints", sortable: true, class: "number", show: (cell, each) => {
      const { ready, total } = healthOf(each);
      say(cell, ready === total ? String(total) : `${ready} of ${total}`);
    } },
    { id: "health", title: "Health", sortable: true, show: (cell, each) => {
      const { level, text } = healthOf(each);
      showState(cell, level, text);
    } },
  ];
  if (busy) {
    columns.push({ id: "busy", title: "New connections/s", sortable: true, class: "busy number", show: showBusy });
  }

  const grid = new Grid({
    label: "Services",
    columns,
    open: (each) => go("services", each.namespace, each.name),
    sort: (column) => {
      if (kept.sort === column) kept.descending = !kept.descending;
      else Object.assign(kept, { sort: column, descending: ["endpoints", "busy"].includes(column) });
      grid.body.scrollTop = 0;
      order();
      announce(`Sorted by ${column}, ${kept.descending ? "descending" : "ascending"}`);
    },
  });
  grid.element.classList.toggle("untold", !busy);

  const field = /** @type {HTMLInputElement} */ (h("input", {
    type: "search", id: "search", "aria-label": "Search Services", placeholder: "Search by name, address, port, label",
    value: kept.search, autocomplete: "off", spellcheck: "false",
    oninput: () => {
      kept.search = field.value;
      grid.body.scrollTop = 0;
      order();
      announce(plural(grid.items.length, "Service"));
    },
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && field.value) {
        event.preventDefault();
        field.value = kept.search = "";
        order();
      } else if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        grid.element.focus();
        if (grid.items.length) grid.goTo(grid.items[0].key);
      }
    },
  }));
  const total = h("span", { class: "soft", id: "total" });
  const actions = h("span", { class: "toolbar" });
  const said = h("div", { id: "said" });
  const element = h("section", { class: "view", "aria-labelledby": "heading" },
    h("div", { class: "toolbar" },
      h("h1", { id: "heading" }, "Services"), total, h("span", { class: "fill" }),
      h("div", { class: "search" }, field, h("kbd", { "aria-hidden": "true" }, "/")), actions),
    said, grid.element);

  may("create", "services", context.namespace).then((yes) => {
    if (yes) replace(actions, h("a", { class: "button", href: link("create") }, "Create"));
  });

  function order() {
    const words = kept.search.toLowerCase().split(/\s+/).filter(Boolean);
    /** @type {Service[]} */
    const found = [];
    for (const each of cluster.services.items.values()) {
      if (words.every((word) => each.text.includes(word))) found.push(each);
    }
    sort(found);
    grid.showSort(kept.sort, kept.descending);
    const all = cluster.services.items.size;
    const loading = cluster.services.complete ? "" : ", loading…";
    say(total, words.length ? `${found.length} of ${plural(all, "Service")}` : plural(all, "Service") + loading);
    grid.show(found, nothing(words.length > 0));
  }

  /** @param {boolean} searching */
  function nothing(searching) {
    if (!cluster.services.complete) return cluster.services.error ? "" : "Loading…";
    return searching ? "No Service matches." : "There are no Services yet.";
  }

  /** @param {Service[]} found */
  function sort(found) {
    /** @type {(each: Service) => number | string} */
    const by = {
      name: (/** @type {Service} */ each) => each.name,
      namespace: (/** @type {Service} */ each) => each.namespace,
      type: kindOf,
      endpoints: (/** @type {Service} */ each) => healthOf(each).ready,
      health: (/** @type {Service} */ each) => ({ bad: 0, part: 1, good: 2, none: 3 })[healthOf(each).level],
      busy: (/** @type {Service} */ each) => busy?.services.get(each.key)?.connections ?? 0,
    }[kept.sort] ?? ((each) => each.name);
    const values = new Map(found.map((each) => [each, by(each)]));
    const sign = kept.descending ? -1 : 1;
    found.sort((a, b) => {
      const [left, right] = [/** @type {any} */ (values.get(a)), /** @type {any} */ (values.get(b))];
      if (left !== right) return left < right ? -sign : sign;
      return a.key < b.key ? -1 : 1;
    });
  }

  /** @param {HTMLElement} cell @param {Service} each */
  function showBusy(cell, each) {
    const now = busy?.services.get(each.key);
    let [text, spark] = /** @type {any} */ (cell).parts ?? [];
    if (!spark) {
      text = h("span");
      spark = new Spark("", HISTORY);
      /** @type {any} */ (cell).parts = [text, spark];
      cell.append(spark.element, text);
    }
    say(text, now ? rate(now.connections) : "");
    set(cell, { title: now ? `${now.open} open, ${bytes(now.sent)}/s sent, ${bytes(now.received)}/s received` : null });
    spark.show(now && now.history.some(Boolean) ? now.history : []);
  }

  function later() {
    timer ??= setTimeout(() => {
      timer = undefined;
      order();
    }, SETTLE);
  }

  function showErrors() {
    const notices = [];
    const { services, slices } = cluster;
    if (services.error) notices.push(failure(services.error, "list Services"));
    else if (slices.error) notices.push(failure(slices.error, "list EndpointSlices"));
    if (services.error?.code === 403 && !context.namespace) notices.push(namespaceForm(context));
    else if (!busy && !services.error) {
      notices.push(notice("Traffic is not shown: that takes the right to get nodes/proxy.", "calm"));
    }
    replace(said, notices);
    later();
  }

  const ends = [
    cluster.listen((key) => {
      healths.delete(key);
      later();
    }),
    cluster.services.listenState(showErrors),
    cluster.slices.listenState(() => {
      healths.clear();
      showErrors();
    }),
    context.sampler?.listen(() => {
      healths.clear();
      if (kept.sort === "busy") later();
      else grid.show(grid.items, nothing(Boolean(kept.search)));
    }),
  ];
  showErrors();
  order();
  return {
    element,
    title: "Services",
    fixed: true,
    /** Called when it is in the page. */
    shown: () => {
      if (kept.last) grid.goTo(kept.last);
    },
    focus: () => grid.element.focus({ preventScroll: true }),
    search: () => field.focus(),
    stop: () => {
      clearTimeout(timer);
      for (const end of ends) end?.();
      grid.stop();
    },
  };
}

/** @param {string} key the Service that the viewer comes back from */
export function rememberRow(key) {
  kept.last = key;
}

/** @param {HTMLElement} cell @param {Service} each */
function showName(cell, each) {
  const anchor = cell.firstElementChild ?? cell.appendChild(h("a", { class: "name", tabindex: -1 }));
  set(anchor, { href: link("services", each.namespace, each.name) });
  say(anchor, each.name);
}

/** @param {Service} each */
function addressOf(each) {
  if (each.type === "ExternalName") return each.external[0] ?? "";
  return [...each.addresses, ...each.external].join(", ") || "none";
}

/** @param {Service} each */
function portsOf(each) {
  return each.ports
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ""}${protocol === "TCP" ? "" : `/${protocol}`}`)
    .join(", ");
}

/** @param {Context} context */
function namespaceForm(context) {
  const field = /** @type {HTMLInputElement} */ (h("input", { name: "namespace", required: true, autocomplete: "off" }));
  return h("form", {
    class: "toolbar", id: "namespace-form",
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      context.useNamespace(field.value.trim());
    },
  },
    h("label", null, "Show one namespace that you may read", field), h("button", { class: "first" }, "Show"));
}
