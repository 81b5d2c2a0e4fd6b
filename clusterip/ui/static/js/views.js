/**
 * Which view is where.
 */

import { createView } from "./views/editor.js";
import { dnsView } from "./views/dns.js";
import { nodesView } from "./views/nodes.js";
import { serviceView } from "./views/service.js";
import { servicesView } from "./views/services.js";

export const VIEWS = [
  { path: "services", title: "Services" },
  { path: "nodes", title: "Nodes" },
  { path: "dns", title: "DNS" },
];

/**
 * @param {string[]} parts
 * @param {URLSearchParams} query
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function viewOf(parts, query, context) {
  switch (parts[0]) {
    case "nodes":
      return nodesView(context);
    case "dns":
      return dnsView(context);
    case "create":
      return createView(context);
    case "services":
      if (parts.length === 3) return serviceView(context, parts[1], parts[2]);
  }
  return servicesView(context);
}
