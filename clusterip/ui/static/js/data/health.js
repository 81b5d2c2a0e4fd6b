/**
 * How a Service is, in one word.
 */

import { kindOf } from "./shapes.js";

/**
 * @typedef {object} Health
 * @property {"good" | "part" | "bad" | "none"} level
 * @property {string} text
 * @property {number} ready
 * @property {number} total
 */

/**
 * @param {import("./shapes.js").Service} service
 * @param {import("./shapes.js").Endpoint[]} endpoints
 * @param {string[]} unprogrammed nodes whose proxies do not have it
 * @returns {Health}
 */
export function health(service, endpoints, unprogrammed = []) {
  const lasting = endpoints.filter((each) => !each.terminating);
  const ready = lasting.filter((each) => each.ready).length;
  const total = lasting.length;
  /** @param {Health["level"]} level @param {string} text */
  const is = (level, text) => ({ level, text, ready, total });
  if (kindOf(service) === "ExternalName") return is("none", "name only");
  if (service.deleting) return is("part", "being deleted");
  if (total === 0) return service.selector ? is("bad", "no endpoints") : is("none", "no endpoints");
  if (ready === 0) return is("bad", "none ready");
  if (unprogrammed.length) return is("part", `not on ${unprogrammed[0]}${unprogrammed.length > 1 ? ", …" : ""}`);
  if (ready < total) return is("part", `${total - ready} not ready`);
  return is("good", "healthy");
}
