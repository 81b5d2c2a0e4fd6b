/**
 * A real connection to the Service, followed by the agent of the client's node, and drawn.
 */

import { request } from "../../api.js";
import { may } from "../../data/rights.js";
import { h, replace } from "../../dom.js";
import { announce } from "../../parts/announce.js";
import { failure, notice } from "../../parts/notice.js";
import { journey } from "../../draw/journey.js";

const MOST_PODS = 200;

/**
 * @typedef {object} Client
 * @property {string} from what the agent is told: `pod/NAMESPACE/NAME` or `node/NAME`
 * @property {string} node whose agent it is
 * @property {string} title
 */

/**
 * @param {import("../../app.js").Context} context
 * @param {string} namespace
 * @param {string} name
 */
export function tracingPanel(context, namespace, name) {
  const { cluster } = context;
  const stopping = new AbortController();
  /** @type {Client[]} */
  let pods = [];
  /** @type {Map<string, Client>} */
  let clients = new Map();
  let shown = "";
  const from = /** @type {HTMLSelectElement} */ (h("select", { id: "trace-from", required: true }));
  const port = /** @type {HTMLSelectElement} */ (h("select", { id: "trace-port" }));
  const portLabel = h("label", null, "Port", port);
  const button = /** @type {HTMLButtonElement} */ (h("button", { class: "first" }, "Trace"));
  const told = h("div", { id: "trace-told" });
  const form = h("form", { class: "toolbar", onsubmit: start },
    h("label", null, "From", from), portLabel, button);
  const allowed = context.sampler !== null;
  const element = h("section", { class: "card", "aria-labelledby": "trace-heading" },
    h("div", { class: "toolbar" }, h("h2", { id: "trace-heading" }, "Trace a connection")),
    allowed ? form : notice("A trace takes the right to get nodes/proxy.", "calm"), told);

  if (allowed) findPods();

  async function findPods() {
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods?limit=${MOST_PODS}&fieldSelector=status.phase%3DRunning`;
      const list = await request(path, { signal: stopping.signal });
      pods = (list.items ?? []).map((/** @type {any} */ pod) => ({
        from: `pod/${namespace}/${pod.metadata.name}`, node: pod.spec.nodeName, title: pod.metadata.name,
      }));
      draw();
    } catch {
      // Who may not list Pods can still trace from nodes.
    }
  }

  /** @param {Event} event */
  async function start(event) {
    event.preventDefault();
    const client = clients.get(from.value);
    if (!client) return;
    button.disabled = true;
    replace(told, notice("Connecting…", "calm"));
    try {
      const query = new URLSearchParams({ from: client.from, to: `${name}.${namespace}:${port.value}` });
      const story = await ask(`/api/v1/nodes/${encodeURIComponent(client.node)}/proxy/trace?${query}`);
      replace(told, journey(story));
      announce(story.summary);
    } catch (error) {
      if (!stopping.signal.aborted) replace(told, failure(error, "trace"));
    } finally {
      button.disabled = false;
    }
  }

  /** The agent reads its own Pods only: it is given those of the Service, which the viewer may read. @param {string} path */
  async function ask(path) {
    const options = { accept: "*/*", signal: stopping.signal };
    if (!(await may("create", "nodes:proxy"))) return request(path, options);
    const within = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
    const [podList, eventList] = await Promise.all(["pods", "events"].map((plural) =>
      request(`${within}/${plural}?limit=2000`, { signal: stopping.signal }).catch(() => ({ items: [] }))));
    return request(path, { ...options, method: "POST", body: { pods: podList.items, events: eventList.items } });
  }

  function draw() {
    if (!allowed) return;
    const service = cluster.services.items.get(`${namespace}/${name}`);
    const nodes = [...cluster.nodes.items.keys()].sort()
      .map((node) => ({ from: `node/${node}`, node, title: node }));
    const ports = (service?.ports ?? []).map((each) => ({
      value: `${each.port}${each.protocol === "TCP" ? "" : `/${each.protocol.toLowerCase()}`}`,
      title: `${each.name ? `${each.name} ` : ""}${each.port}/${each.protocol}`,
    }));
    const now = JSON.stringify([pods, nodes, ports]);
    if (now === shown) return;
    shown = now;
    clients = new Map([...pods, ...nodes].map((each) => [each.from, each]));
    const [wasFrom, wasPort] = [from.value, port.value];
    replace(from, group(`Pods in ${namespace}`, pods), group("Nodes", nodes));
    replace(port, ports.map((each) => h("option", { value: each.value }, each.title)));
    if (clients.has(wasFrom)) from.value = wasFrom;
    if (ports.some((each) => each.value === wasPort)) port.value = wasPort;
    portLabel.hidden = ports.length < 2;
    button.disabled = ports.length === 0 || clients.size === 0;
  }

  return { element, draw, stop: () => stopping.abort() };
}

/** @param {string} label @param {Client[]} clients */
function group(label, clients) {
  return clients.length > 0 && h("optgroup", { label }, clients.map((each) => h("option", { value: each.from }, each.title)));
}
