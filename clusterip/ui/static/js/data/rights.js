/**
 * What the viewer may do, as the server says (SelfSubjectAccessReview). Asked once for each question.
 */

import { request } from "../api.js";

/** @type {Map<string, Promise<boolean>>} */
const known = new Map();

/**
 * @param {string} verb
 * @param {string} resource `GROUP/PLURAL` or `PLURAL`, and `:SUBRESOURCE`
 * @param {string} [namespace]
 * @param {string} [name]
 * @returns {Promise<boolean>} false also when the server does not say
 */
export function may(verb, resource, namespace = "", name = "") {
  const key = [verb, resource, namespace, name].join(" ");
  let answer = known.get(key);
  if (!answer) known.set(key, (answer = ask(verb, resource, namespace, name)));
  return answer;
}

/** For the next viewer. */
export function forgetRights() {
  known.clear();
}

/** @param {string} verb @param {string} resource @param {string} namespace @param {string} name */
async function ask(verb, resource, namespace, name) {
  const [whole, subresource = ""] = resource.split(":");
  const [group, plural] = whole.includes("/") ? whole.split("/") : ["", whole];
  const attributes = { verb, group, resource: plural, subresource, namespace, name };
  try {
    const review = await request("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      method: "POST",
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: attributes },
      },
    });
    return review.status?.allowed === true;
  } catch {
    return false;
  }
}
