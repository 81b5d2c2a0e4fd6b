/**
 * From two answers of each node to what happens in a second.
 */

/** @typedef {import("./sampler.js").NodeSample} NodeSample */
/** @typedef {import("./sampler.js").OneService} OneService */

/**
 * @typedef {object} Flow
 * @property {number} open connections now
 * @property {number} connections new ones per second
 * @property {number} sent bytes per second
 * @property {number} received
 */

/** @returns {Flow} */
export function nothing() {
  return { open: 0, connections: 0, sent: 0, received: 0 };
}

/**
 * @param {Flow} sum
 * @param {{open: number, connections: number, sent: number, received: number}} now
 * @param {{connections: number, sent: number, received: number} | undefined} before
 * @param {number} seconds between them; 0: they cannot be compared
 */
export function add(sum, now, before, seconds) {
  sum.open += now.open;
  if (seconds <= 0) return;
  sum.connections += Math.max(now.connections - (before?.connections ?? 0), 0) / seconds;
  sum.sent += Math.max(now.sent - (before?.sent ?? 0), 0) / seconds;
  sum.received += Math.max(now.received - (before?.received ?? 0), 0) / seconds;
}

/**
 * Each Service of a node's answer, with its flow there.
 * @param {NodeSample} sample
 * @returns {{service: OneService, flow: Flow}[]}
 */
export function flowsOf(sample) {
  if (!sample.now) return [];
  const seconds = sample.before ? sample.now.time - sample.before.time : 0;
  /** @type {Map<string, OneService>} */
  const old = new Map((sample.before?.services ?? []).map((each) => [`${each.namespace}/${each.name}`, each]));
  return sample.now.services.map((service) => {
    const before = old.get(`${service.namespace}/${service.name}`);
    const flow = nothing();
    for (const [index, port] of service.ports.entries()) {
      add(flow, port, matching(before?.ports, port, index), seconds);
    }
    return { service, flow };
  });
}

/**
 * The flow to each endpoint (by ADDRESS:PORT) of the first Service of a node's answer.
 * @param {NodeSample} sample
 * @returns {Map<string, Flow & {chosen: boolean, total: number}>}
 */
export function endpointFlowsOf(sample) {
  const found = new Map();
  const service = sample.now?.services[0];
  if (!sample.now || !service) return found;
  const seconds = sample.before ? sample.now.time - sample.before.time : 0;
  const old = sample.before?.services[0];
  for (const [index, port] of service.ports.entries()) {
    const before = new Map(
      (matching(old?.ports, port, index)?.endpoints ?? []).map((each) => [each.address, each]),
    );
    for (const endpoint of port.endpoints) {
      let flow = found.get(endpoint.address);
      if (!flow) found.set(endpoint.address, (flow = { ...nothing(), chosen: false, total: 0 }));
      flow.chosen ||= endpoint.chosen;
      flow.total += endpoint.connections;
      add(flow, endpoint, before.get(endpoint.address), seconds);
    }
  }
  return found;
}

/**
 * @param {import("./sampler.js").PortServices[] | undefined} ports
 * @param {import("./sampler.js").PortServices} port
 * @param {number} index where it probably is
 */
function matching(ports, port, index) {
  /** @param {import("./sampler.js").PortServices | undefined} each */
  const same = (each) =>
    each?.port === port.port && each?.protocol === port.protocol && each?.clusterIP === port.clusterIP;
  const there = ports?.[index];
  return same(there) ? there : ports?.find(same);
}
