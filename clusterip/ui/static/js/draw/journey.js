/**
 * The story of a trace (docs/trace-json.md): the path as a picture, then each hop with what happened there.
 */

import { h, s } from "../dom.js";
import { cut } from "../format.js";
import { notice } from "../parts/notice.js";
import { state } from "../parts/state.js";
import { Table } from "../parts/table.js";

const BOX = { w: 240, h: 46 };
/** Characters in a box. */
const ROOM = 24;
const GAP = 70;
const TOP = 34;
const KINDS = { pod: "Pod", node: "Node", external: "Outside", dns: "DNS server" };

/**
 * @typedef {object} Place
 * @property {string} id
 * @property {"pod" | "node" | "external" | "dns"} kind
 * @property {string} name
 * @property {string} node
 * @property {string[]} addresses
 * @property {string} note
 *
 * @typedef {object} Candidate
 * @property {string} address
 * @property {string} pod
 * @property {string} node
 * @property {number | null} probability
 * @property {boolean} chosen
 * @property {string} reason
 *
 * @typedef {object} Step
 * @property {string} kind
 * @property {string} basis
 * @property {string} place
 * @property {string} way
 * @property {number | null} at
 * @property {string} title
 * @property {string[]} details
 * @property {Candidate[]} candidates
 *
 * @typedef {object} Story
 * @property {string} outcome
 * @property {string} summary
 * @property {string} mode
 * @property {Place[]} places
 * @property {Step[]} steps
 * @property {{what: string, evidence: string[], remedy: string[]}[]} problems
 * @property {string[]} notes
 */

/** @param {Story} story */
export function journey(story) {
  const reached = story.outcome === "reached";
  return h("div", { class: "journey" },
    h("p", null, state(reached ? "good" : "bad", story.summary)),
    story.problems.map(problem),
    picture(story),
    h("ol", { class: "hops" }, hopsOf(story).map(hopItem)),
    story.notes.map((note) => h("p", { class: "soft" }, note)));
}

/** @param {Story["problems"][number]} each */
function problem(each) {
  const box = notice(each.what, "bad");
  box.append(h("ul", null,
    each.evidence.map((line) => h("li", null, line)),
    each.remedy.map((line) => h("li", null, h("strong", null, "To do: "), line))));
  return box;
}

/** Steps that follow each other in one place. @param {Story} story */
function hopsOf(story) {
  /** @type {{place: Place | undefined, back: boolean, steps: Step[]}[]} */
  const hops = [];
  for (const step of story.steps) {
    const last = hops.at(-1);
    const back = step.way === "back";
    if (last && last.place?.id === step.place && last.back === back) last.steps.push(step);
    else hops.push({ place: story.places.find((each) => each.id === step.place), back, steps: [step] });
  }
  return hops;
}

/** @param {ReturnType<typeof hopsOf>[number]} hop */
function hopItem(hop) {
  const { place } = hop;
  const where = place ? `${KINDS[place.kind] ?? place.kind} ${place.name}` : hop.steps[0].place;
  const rest = place && [place.kind === "pod" && place.node ? `on ${place.node}` : "", ...place.addresses].filter(Boolean).join(", ");
  return h("li", { class: hop.back ? "hop back" : "hop" },
    h("h3", null, hop.back ? "The answer, at " : "", where, " ", h("span", { class: "soft mono" }, rest ?? "")),
    place?.note ? h("p", { class: "soft" }, place.note) : null,
    h("ol", { class: "steps" }, hop.steps.map(stepItem)));
}

/** @param {Step} step */
function stepItem(step) {
  return h("li", { class: `step ${step.basis}` },
    h("span", { class: "at mono soft" }, step.at === null ? "" : `${step.at.toFixed(2)} ms`),
    h("span", { class: "basis", title: step.basis === "observed" ? "Seen on the packet or in the kernel" : "What the objects say must happen" },
      step.basis),
    h("div", null,
      h("p", null, step.title),
      step.kind === "rule"
        ? step.details.length > 0 && h("pre", { tabindex: 0, "aria-label": "Rules" }, step.details.join("\n"))
        : step.details.map((line) => h("p", { class: "soft" }, line)),
      step.candidates.length > 0 && candidates(step.candidates)));
}

/** @param {Candidate[]} all */
function candidates(all) {
  const table = new Table("Endpoints that could be chosen", [
    { title: "Endpoint", class: "mono" }, { title: "Pod" }, { title: "Node" }, { title: "Probability", class: "number" }, { title: "" },
  ]);
  table.show(all.map((each) => [
    each.address, each.pod, each.node,
    each.probability === null ? "" : `${(each.probability * 100).toFixed(each.probability < 0.1 ? 1 : 0)} %`,
    each.chosen ? state("good", "chosen") : each.reason ? state("none", each.reason) : "",
  ]), "");
  return table.element;
}

/** Boxes from the client to the endpoint, and the lines that the packet went. @param {Story} story */
function picture(story) {
  const { places } = story;
  const index = new Map(places.map((each, number) => [each.id, number]));
  const width = places.length * BOX.w + (places.length - 1) * GAP;
  const parts = [];
  for (const way of ["there", "back"]) {
    /** @type {Set<string>} */
    const drawn = new Set();
    let last = -1;
    for (const step of story.steps) {
      const at = index.get(step.place);
      if (step.way !== way || at === undefined) continue;
      if (last >= 0 && at !== last && !drawn.has(`${last} ${at}`)) {
        drawn.add(`${last} ${at}`);
        parts.push(edge(last, at, way === "back"));
      }
      last = at;
    }
  }
  const lost = story.outcome === "reached" ? -1 : lastReached(story, index);
  const boxes = places.map((each, number) =>
    s("g", { class: `item ${number === lost ? "bad" : "good"}`, transform: `translate(${x(number)}, ${TOP})` },
      s("rect", { class: "box", width: BOX.w, height: BOX.h, rx: 9 }),
      s("circle", { class: "mark", cx: 16, cy: BOX.h / 2, r: 4.5 }),
      s("text", { class: "strong", x: 30, y: 20 }, cut(each.name, ROOM)),
      s("text", { class: "soft", x: 30, y: 36 }, cut(`${KINDS[each.kind] ?? each.kind} ${each.addresses[0] ?? ""}`, ROOM)),
      s("title", null, [each.name, ...each.addresses].join("\n"))));
  const words = `The way: ${places.map((each) => each.name).join(", then ")}; ${story.summary}`;
  return s("svg", { class: "map path", role: "img", "aria-label": words, viewBox: `0 0 ${Math.max(width, 3 * (BOX.w + GAP))} ${TOP + BOX.h + 30}` },
    parts, boxes);
}

/** Where the last step was on the way there. @param {Story} story @param {Map<string, number>} index */
function lastReached(story, index) {
  const there = story.steps.filter((each) => each.way === "there" && index.has(each.place));
  return index.get(there.at(-1)?.place ?? "") ?? 0;
}

/** @param {number} from @param {number} to @param {boolean} back */
function edge(from, to, back) {
  const forward = to > from;
  const near = Math.abs(to - from) === 1;
  const y = TOP + BOX.h * (back ? 0.7 : 0.3);
  const x1 = x(from) + (forward ? BOX.w : 0);
  const x2 = x(to) + (forward ? 0 : BOX.w);
  const kind = `edge ${back ? "off" : "on"}`;
  if (near) return s("path", { class: kind, d: `M${x1} ${y}L${x2} ${y}` });
  const [above, middle1, middle2] = [back ? TOP + BOX.h + 26 : TOP - 26, x(from) + BOX.w / 2, x(to) + BOX.w / 2];
  const rim = back ? TOP + BOX.h : TOP;
  return s("path", { class: kind, d: `M${middle1} ${rim}C${middle1} ${above} ${middle2} ${above} ${middle2} ${rim}` });
}

/** @param {number} number of a box */
function x(number) {
  return number * (BOX.w + GAP);
}
