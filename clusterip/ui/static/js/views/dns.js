/**
 * The DNS servers: how often they are asked, and what they answer.
 */

import { h, replace } from "../dom.js";
import { count, duration, rate } from "../format.js";
import { DnsBoard, HISTORY } from "../data/dns.js";
import { notice } from "../parts/notice.js";
import { Spark } from "../parts/spark.js";
import { state } from "../parts/state.js";
import { Table } from "../parts/table.js";

/** @param {import("../app.js").Context} context @returns {import("../app.js").View} */
export function dnsView(context) {
  const { cluster, sampler } = context;
  const heading = h("h1", { id: "heading", tabindex: -1 }, "DNS");
  const element = h("section", { class: "view", "aria-labelledby": "heading" }, h("div", { class: "title" }, heading));
  if (!sampler) {
    element.append(notice("DNS servers cannot be asked: that takes the right to get nodes/proxy.", "calm"));
    return { element, title: "DNS", focus: () => heading.focus(), stop: () => {} };
  }
  const table = new Table("DNS servers", [
    { title: "Server" }, { title: "State" },
    ...["Questions/s", "Answered in", "Cache hits", "Since its start"].map((title) => ({ title, class: "number" })),
  ]);
  const answers = new Table("Answers by code", [
    { title: "Answer" }, { title: "Per second", class: "number" }, { title: "In all", class: "number" }, { title: "", class: "" },
  ]);
  const spark = new Spark("Questions per second in the last three minutes", HISTORY, "large");
  const total = h("div", { class: "big" }, "–");
  element.append(h("div", { class: "panels" },
    h("section", { class: "card half", "aria-labelledby": "questions" },
      h("div", { class: "toolbar" }, h("h2", { id: "questions" }, "Questions")),
      h("div", { class: "figures" }, h("div", null, h("span", null, "Questions/s, all servers"), total)), spark.element),
    h("section", { class: "card half", "aria-labelledby": "answers" },
      h("div", { class: "toolbar" }, h("h2", { id: "answers" }, "Answers")), answers.element),
    h("section", { class: "card", "aria-labelledby": "servers" },
      h("div", { class: "toolbar" }, h("h2", { id: "servers" }, "Servers")), table.element)));

  const board = new DnsBoard(() => [...cluster.nodes.items.keys()]);
  const end = board.listen(() => {
    replace(total, rate(board.questions));
    spark.show(board.history, `now ${rate(board.questions)}`);
    const codes = [...board.answers].sort((a, b) => b[1].total - a[1].total);
    const names = new Map([["NOERROR", "found"], ["NXDOMAIN", "no such name"], ["SERVFAIL", "failed"], ["REFUSED", "refused"]]);
    answers.show(codes.map(([code, { perSecond, total }]) => [
      code, rate(perSecond), count(total), h("span", { class: "soft" }, names.get(code) ?? ""),
    ]), "None yet.");
    table.show(board.servers.map((each) => [
      each.name,
      each.told ? state("good", "answers") : state("none", "does not tell"),
      each.told ? rate(each.questions) : "",
      each.latency === null ? "" : duration(each.latency),
      each.hits === null ? "" : `${Math.round(100 * each.hits)}%`,
      each.told ? count(each.total) : "",
    ]), "There are no servers on the nodes, nor Pods with the label k8s-app=kube-dns.");
  });
  return {
    element, title: "DNS", focus: () => heading.focus(),
    stop: () => {
      end();
      board.stop();
    },
  };
}
