/**
 * Asks before a Service is deleted.
 */

import { request } from "../api.js";
import { h, replace } from "../dom.js";
import { announce } from "../parts/announce.js";
import { openDialog } from "../parts/dialog.js";
import { failure } from "../parts/notice.js";
import { go } from "../router.js";

/** @param {string} namespace @param {string} name */
export function deleteDialog(namespace, name) {
  const said = h("div");
  const dialog = openDialog({ label: "delete-heading" },
    h("form", {
      method: "dialog",
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        if (event.submitter?.getAttribute("value") !== "delete") return;
        event.preventDefault();
        try {
          const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
          await request(path, { method: "DELETE" });
          dialog.close();
          announce(`${name} was deleted`);
          go("services");
        } catch (error) {
          replace(said, failure(error, `delete ${name}`));
        }
      },
    },
      h("h2", { id: "delete-heading" }, `Delete ${name}?`),
      h("p", null, `The Service ${name} in ${namespace} goes, with its address. Its Pods stay.`),
      said,
      h("div", { class: "toolbar" },
        h("button", { value: "cancel", autofocus: true }, "Keep it"),
        h("button", { value: "delete", class: "danger" }, "Delete"))));
}
