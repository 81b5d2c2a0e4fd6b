/**
 * How busy the Service is.
 */

import { h, say } from "../../dom.js";
import { HISTORY } from "../../data/servicetraffic.js";
import { bytes, count, rate } from "../../format.js";
import { notice } from "../../parts/notice.js";
import { Spark } from "../../parts/spark.js";

/** @param {import("../../data/servicetraffic.js").ServiceTraffic | null} traffic */
export function trafficPanel(traffic) {
  const figures = ["New connections/s", "Open connections", "Sent/s", "Received/s"].map((title) => {
    const value = h("div", { class: "big" }, "–");
    return { value, element: h("div", null, h("span", null, title), value) };
  });
  const spark = new Spark("New connections per second in the last three minutes", HISTORY, "large");
  const note = h("p", { class: "soft" });
  return {
    element: h("section", { class: "card", "aria-labelledby": "traffic-heading" },
      h("div", { class: "toolbar" }, h("h2", { id: "traffic-heading" }, "Traffic")),
      traffic
        ? [h("div", { class: "figures" }, figures.map((each) => each.element)), spark.element, note]
        : notice("Traffic is not shown: that takes the right to get nodes/proxy.", "calm")),
    draw() {
      if (!traffic?.sampler.rounds) return;
      const { sum, history, nodes } = traffic;
      const texts = [rate(sum.connections), count(sum.open), bytes(sum.sent), bytes(sum.received)];
      for (const [index, text] of texts.entries()) say(figures[index].value, text);
      const highest = Math.max(0, ...history);
      spark.show(history, `now ${rate(sum.connections)}, at most ${rate(highest)}`);
      const odd = nodes.find((each) => each.accounting && !["on", "since"].includes(each.accounting));
      const scale = highest ? `The line's highest point is ${rate(highest)} new connections a second.` : "";
      say(note, odd ? `Bytes are not counted on ${odd.name}: ${odd.accounting}` : scale);
    },
  };
}
