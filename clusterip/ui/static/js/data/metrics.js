/**
 * The counters of a DNS server, from its page in Prometheus' text format. The names are CoreDNS's.
 */

/**
 * @typedef {object} DnsFigures
 * @property {number} time milliseconds, of this page
 * @property {number} questions
 * @property {Map<string, number>} answers by code
 * @property {number} seconds spent on `timed` answers
 * @property {number} timed
 * @property {number} hits
 * @property {number} misses
 */

const LINE = /^(coredns_[a-z_]+)(?:\{([^}]*)\})? ([0-9.eE+-]+)/gm;

/** @param {string} text @returns {DnsFigures | null} null: it is no DNS server's */
export function figuresOf(text) {
  /** @type {DnsFigures} */
  const found = { time: performance.now(), questions: 0, answers: new Map(), seconds: 0, timed: 0, hits: 0, misses: 0 };
  let any = false;
  for (const [, name, labels, number] of text.matchAll(LINE)) {
    any = true;
    const value = Number(number);
    switch (name) {
      case "coredns_dns_requests_total":
        found.questions += value;
        break;
      case "coredns_dns_responses_total": {
        const code = /rcode="([^"]*)"/.exec(labels ?? "")?.[1] ?? "";
        found.answers.set(code, (found.answers.get(code) ?? 0) + value);
        break;
      }
      case "coredns_dns_request_duration_seconds_sum":
        found.seconds += value;
        break;
      case "coredns_dns_request_duration_seconds_count":
        found.timed += value;
        break;
      case "coredns_cache_hits_total":
        found.hits += value;
        break;
      case "coredns_cache_misses_total":
        found.misses += value;
        break;
    }
  }
  return any ? found : null;
}
