/**
 * What is kept of objects: of ten thousand, each field counts.
 */

/**
 * @typedef {object} Port
 * @property {string} name
 * @property {string} protocol
 * @property {number} port
 * @property {number} nodePort 0: none
 * @property {string | number} target
 *
 * @typedef {object} Service
 * @property {string} key namespace/name
 * @property {string} namespace
 * @property {string} name
 * @property {string} uid
 * @property {string} type
 * @property {string[]} addresses
 * @property {string[]} external
 * @property {Port[]} ports
 * @property {Record<string, string> | null} selector
 * @property {string} traffic the traffic policies that are not the default
 * @property {string} affinity
 * @property {string} created
 * @property {boolean} deleting
 * @property {string} text what a search looks in
 *
 * @typedef {object} Endpoint
 * @property {string} address
 * @property {boolean} ready
 * @property {boolean} serving
 * @property {boolean} terminating
 * @property {string} node
 * @property {string} zone
 * @property {string} pod namespace/name of the Pod, or empty
 *
 * @typedef {object} Slice
 * @property {string} key
 * @property {string} service namespace/name
 * @property {string} family
 * @property {{name: string, port: number, protocol: string}[]} ports
 * @property {Endpoint[]} endpoints
 *
 * @typedef {object} NodeShape
 * @property {string} key
 * @property {string} name
 * @property {boolean} ready
 * @property {string} zone
 * @property {string} address
 */

/** @param {any} metadata */
export function keyOf(metadata) {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name;
}

/** @param {any} object @returns {Service} */
export function service(object) {
  const { metadata, spec } = object;
  const ports = (spec.ports ?? []).map((/** @type {any} */ port) => ({
    name: port.name ?? "",
    protocol: port.protocol ?? "TCP",
    port: port.port,
    nodePort: port.nodePort ?? 0,
    target: port.targetPort ?? port.port,
  }));
  const addresses = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
  const ingress = object.status?.loadBalancer?.ingress ?? [];
  const external = [
    ...ingress.map((/** @type {any} */ each) => each.ip ?? each.hostname),
    ...(spec.externalIPs ?? []),
    ...(spec.externalName ? [spec.externalName] : []),
  ];
  const labels = Object.entries(metadata.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const found = {
    key: keyOf(metadata),
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    type: spec.type ?? "ClusterIP",
    addresses: addresses.filter((/** @type {string} */ each) => each !== "None"),
    external,
    ports,
    selector: spec.selector && Object.keys(spec.selector).length ? spec.selector : null,
    traffic: [
      spec.internalTrafficPolicy === "Local" ? "internal traffic stays on its node" : "",
      spec.externalTrafficPolicy === "Local" ? "external traffic stays on its node" : "",
      spec.trafficDistribution ?? "",
    ].filter(Boolean).join(", "),
    affinity: spec.sessionAffinity === "ClientIP" ? "ClientIP" : "",
    created: metadata.creationTimestamp,
    deleting: Boolean(metadata.deletionTimestamp),
    text: "",
  };
  found.text = [
    found.key, kindOf(found), ...addresses, ...external,
    ...ports.map((/** @type {Port} */ port) => `${port.name} ${port.port}/${port.protocol}`), ...labels,
  ].join(" ").toLowerCase();
  return found;
}

/** @param {{type: string, addresses: string[]}} found @returns {string} its type as people call it */
export function kindOf(found) {
  return found.type === "ClusterIP" && !found.addresses.length ? "Headless" : found.type;
}

/** @param {any} object @returns {Slice} */
export function slice(object) {
  const { metadata } = object;
  return {
    key: keyOf(metadata),
    service: `${metadata.namespace}/${metadata.labels?.["kubernetes.io/service-name"] ?? ""}`,
    family: object.addressType,
    ports: (object.ports ?? []).map((/** @type {any} */ port) => ({
      name: port.name ?? "", port: port.port ?? 0, protocol: port.protocol ?? "TCP",
    })),
    endpoints: (object.endpoints ?? []).map((/** @type {any} */ each) => {
      const ready = each.conditions?.ready !== false;
      return {
        address: each.addresses[0],
        ready,
        serving: each.conditions?.serving ?? ready,
        terminating: each.conditions?.terminating === true,
        node: each.nodeName ?? "",
        zone: each.zone ?? "",
        pod: each.targetRef?.kind === "Pod" ? `${metadata.namespace}/${each.targetRef.name}` : "",
      };
    }),
  };
}

/** @param {any} object @returns {NodeShape} */
export function node(object) {
  const { metadata, status } = object;
  const ready = (status?.conditions ?? []).find((/** @type {any} */ each) => each.type === "Ready");
  const addresses = status?.addresses ?? [];
  return {
    key: metadata.name,
    name: metadata.name,
    ready: ready?.status === "True",
    zone: metadata.labels?.["topology.kubernetes.io/zone"] ?? "",
    address: addresses.find((/** @type {any} */ each) => each.type === "InternalIP")?.address ?? "",
  };
}
