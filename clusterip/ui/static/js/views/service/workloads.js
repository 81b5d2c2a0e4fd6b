/**
 * What runs the Pods behind the Service, and how many.
 */

import { request } from "../../api.js";
import { h, replace } from "../../dom.js";
import { may } from "../../data/rights.js";
import { announce } from "../../parts/announce.js";
import { failure } from "../../parts/notice.js";
import { Table } from "../../parts/table.js";

const KINDS = ["deployments", "statefulsets", "replicasets"];
const PAUSE = 1000;

/**
 * @param {import("../../data/cluster.js").Cluster} cluster
 * @param {string} key
 */
export function workloadsPanel(cluster, key) {
  const [namespace] = key.split("/");
  const table = new Table("Workloads behind the Service", [
    { title: "Name" }, { title: "Kind" }, { title: "Ready", class: "number" }, { title: "Replicas" },
  ]);
  const said = h("div");
  let stopped = false;
  let asking = false;
  let asked = 0;
  /** @type {number | undefined} */
  let timer;

  async function ask() {
    timer = undefined;
    const selector = cluster.services.items.get(key)?.selector;
    if (!selector || asking || stopped) return;
    asking = true;
    asked = performance.now();
    try {
      const lists = await Promise.all(KINDS.map((plural) => listOf(namespace, plural)));
      const rows = await Promise.all(lists.flat().filter((each) => runs(each, selector)).map(rowOf));
      if (!stopped) {
        table.show(rows, "No Deployment, StatefulSet or ReplicaSet that you may see has Pods for it.");
        replace(said);
      }
    } catch (error) {
      if (!stopped) replace(said, failure(error, "list what runs the Pods"));
    } finally {
      asking = false;
    }
  }

  /** @param {any} workload */
  async function rowOf(workload) {
    const { name } = workload.metadata;
    const mayScale = await may("update", `apps/${workload.plural}:scale`, namespace, name);
    const wanted = String(workload.spec.replicas ?? 1);
    return [
      name,
      workload.kind,
      `${workload.status?.readyReplicas ?? 0} of ${wanted}`,
      mayScale ? scaler(workload, wanted) : wanted,
    ];
  }

  /** @param {any} workload @param {string} wanted */
  function scaler(workload, wanted) {
    const { name } = workload.metadata;
    const field = /** @type {HTMLInputElement} */ (h("input", {
      type: "number", min: 0, max: 100000, value: wanted, "aria-label": `Replicas of ${name}`, required: true,
    }));
    return h("form", {
      class: "scale",
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        try {
          await request(`/apis/apps/v1/namespaces/${namespace}/${workload.plural}/${name}/scale`, {
            method: "PATCH",
            type: "application/merge-patch+json",
            body: { spec: { replicas: Number(field.value) } },
          });
          replace(said);
          announce(`${name} scaled to ${field.value}`);
          ask();
        } catch (error) {
          replace(said, failure(error, `scale ${name}`));
        }
      },
    }, field, h("button", null, "Scale"));
  }

  return {
    element: h("section", { class: "card half", "aria-labelledby": "workloads-heading" },
      h("div", { class: "toolbar" }, h("h2", { id: "workloads-heading" }, "Workloads")), said, table.element),
    draw() {
      if (!cluster.services.items.get(key)?.selector) return table.show([], "The Service selects no Pods.");
      timer ??= setTimeout(ask, asked ? Math.max(0, asked + PAUSE - performance.now()) : 0);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** @param {string} namespace @param {string} plural @returns {Promise<any[]>} */
async function listOf(namespace, plural) {
  if (!(await may("list", `apps/${plural}`, namespace))) return [];
  const list = await request(`/apis/apps/v1/namespaces/${namespace}/${plural}`);
  const kind = list.kind.replace(/List$/, "");
  return list.items.map((/** @type {any} */ each) => ({ ...each, kind, plural }));
}

/** @param {any} workload @param {Record<string, string>} selector */
function runs(workload, selector) {
  const owned = (workload.metadata.ownerReferences ?? []).some((/** @type {any} */ each) => each.controller);
  const labels = workload.spec.template?.metadata?.labels ?? {};
  return !owned && Object.entries(selector).every(([name, value]) => labels[name] === value);
}
