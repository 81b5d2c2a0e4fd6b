/**
 * Asks for a bearer token.
 */

import { h, replace } from "../dom.js";
import { failure } from "../parts/notice.js";
import { keep } from "../session.js";

/**
 * @param {() => Promise<void>} enter tries the token; fails if it is no good
 * @param {unknown} error why the page asks, if it had credentials
 */
export function signInView(enter, error) {
  const said = h("div");
  const field = /** @type {HTMLInputElement} */ (h("input", {
    type: "password", id: "token", autocomplete: "off", required: true, class: "mono",
  }));
  if (error) replace(said, failure(error));
  const element = h("section", { class: "view sheet" },
    h("form", {
      class: "card",
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        keep(field.value);
        try {
          await enter();
        } catch (failed) {
          replace(said, failure(failed, "sign in"));
          field.select();
        }
      },
    },
      h("h1", null, "Sign in"),
      h("p", { class: "soft" }, "The page shows what your token may see. It is kept for this tab only."),
      said,
      h("label", null, "Bearer token", field),
      h("button", { class: "first" }, "Sign in"),
      h("details", { class: "soft" },
        h("summary", null, "Where to get one"),
        h("pre", null, "kubectl create token NAME"),
        h("p", null, "for a ServiceAccount that has the rights; or run ", h("code", null, "clusterip ui"),
          ", which needs none."))));
  return { element, title: "Sign in", focus: () => field.focus(), stop: () => {} };
}
