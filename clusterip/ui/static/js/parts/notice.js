/**
 * What went wrong, in words, and what to do.
 */

import { ApiError } from "../api.js";
import { h } from "../dom.js";

/**
 * @param {unknown} error
 * @param {string} [doing] what was tried: "delete the Service"
 */
export function failure(error, doing = "") {
  const words = doing ? `Could not ${doing}. ` : "";
  if (!(error instanceof ApiError)) return notice(words + String(error), "bad");
  const causes = error.causes.filter((each) => each.message);
  const box = notice(words + error.message, "bad");
  if (causes.length > 1) {
    box.append(h("ul", null, causes.map((each) => h("li", null, `${each.field ?? ""}: ${each.message}`))));
  }
  return box;
}

/** @param {string} text @param {"" | "bad" | "good" | "calm"} [kind] */
export function notice(text, kind = "") {
  return h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
}
