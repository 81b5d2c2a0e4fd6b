/**
 * Objects as text, YAML or JSON; the server reads it and says what is wrong with it.
 */

import { ask, request } from "../api.js";
import { h, replace } from "../dom.js";
import { announce } from "../parts/announce.js";
import { failure, notice } from "../parts/notice.js";
import { go } from "../router.js";

const YAML = "application/yaml";

const TEMPLATE = `apiVersion: v1
kind: Service
metadata:
  name: my-service
spec:
  selector:
    app: my-app
  ports:
  - port: 80
    targetPort: 8080
`;

/**
 * A new Service.
 * @param {import("../app.js").Context} context
 * @returns {import("../app.js").View}
 */
export function createView(context) {
  const namespaces = new Set([...context.cluster.services.items.values()].map((each) => each.namespace));
  const field = /** @type {HTMLInputElement} */ (h("input", {
    value: context.namespace || "default", required: true, list: "namespaces", autocomplete: "off",
  }));
  const before = [
    h("label", null, "Namespace", field),
    h("datalist", { id: "namespaces" }, [...namespaces].sort().map((each) => h("option", { value: each }))),
  ];
  return editor({
    title: "Create a Service",
    before,
    load: async () => TEMPLATE,
    save: (text, query) =>
      ask(`/api/v1/namespaces/${encodeURIComponent(field.value.trim())}/services?${query}`, {
        method: "POST", body: text, type: typeOf(text),
      }),
    verb: "Create",
    done: (saved) => (saved ? go("services", saved.metadata.namespace, saved.metadata.name) : go("services")),
  });
}

/**
 * An object that there is.
 * @param {{path: string, title: string, readOnly: boolean, done: () => void}} options
 * @returns {import("../app.js").View}
 */
export function editView({ path, title, readOnly, done }) {
  return editor({
    title: readOnly ? title : `Edit ${title}`,
    before: [],
    load: async () => withoutManagers(await request(path, { accept: YAML })),
    save: readOnly
      ? null
      : (text, query) => ask(`${path}?${query}`, { method: "PUT", body: text, type: typeOf(text) }),
    verb: "Save",
    done: () => done(),
  });
}

/**
 * @param {object} options
 * @param {string} options.title
 * @param {HTMLElement[]} options.before
 * @param {() => Promise<string>} options.load
 * @param {((text: string, query: string) => Promise<{data: any, warnings: string[]}>) | null} options.save
 * @param {string} options.verb
 * @param {(saved: any) => void} options.done
 * @returns {import("../app.js").View}
 */
function editor({ title, before, load, save, verb, done }) {
  const said = h("div");
  const text = /** @type {HTMLTextAreaElement} */ (h("textarea", {
    id: "text", "aria-label": "The object as YAML or JSON", spellcheck: "false", autocomplete: "off", readonly: !save,
  }));
  load().then((loaded) => (text.value = loaded), (error) => replace(said, failure(error, "read the object")));

  /** @param {boolean} dryRun */
  async function send(dryRun) {
    if (!save) return;
    try {
      const query = `fieldManager=clusterip-ui&fieldValidation=Strict${dryRun ? "&dryRun=All" : ""}`;
      const { data, warnings } = await save(text.value, query);
      const told = warnings.map((each) => notice(each));
      if (dryRun) replace(said, notice("The server would take it.", "good"), told);
      else {
        announce(`${verb}d`);
        done(data);
      }
    } catch (error) {
      replace(said, failure(error, verb.toLowerCase()));
    }
  }

  const element = h("section", { class: "view editor", "aria-labelledby": "heading" },
    h("div", { class: "toolbar" },
      h("h1", { id: "heading" }, title), h("span", { class: "fill" }), before),
    said, text,
    h("div", { class: "toolbar" },
      save && h("button", { class: "first", onclick: () => send(false) }, verb),
      save && h("button", { onclick: () => send(true) }, "Check"),
      h("button", { class: "quiet", onclick: () => done(null) }, save ? "Cancel" : "Close"),
      h("span", { class: "soft" }, "YAML or JSON. Escape leaves the text, and again closes.")));
  return { element, title, focus: () => text.focus(), stop: () => {} };
}

/** @param {string} text */
function typeOf(text) {
  return text.trimStart().startsWith("{") ? "application/json" : YAML;
}

/**
 * An object's YAML without who owns which field, which nobody edits.
 * @param {string} text as a server writes it: two spaces for each level
 */
function withoutManagers(text) {
  let skipping = false;
  return text.split("\n").filter((line) => {
    if (line.startsWith("  managedFields:")) skipping = true;
    else if (skipping && !/^  (-|\s)/.test(line)) skipping = false;
    return !skipping;
  }).join("\n");
}
