// The report: what was sold, who came, when and where, whom the gates turned away, and what staff changed by hand.

import { get } from "./api.js";
import { badge, button, fill, h, section, svg, table } from "./dom.js";
import { roundUp } from "./chart.js";
import { showFacts } from "./live.js";
import { errorText, masked, number, percent, t, time, word } from "./text.js";

/** @typedef {{ from: string, entries: number }} Interval */
/** @typedef {{ at: string, gate_name: string | null, ticket_code: string | null, reason: string | null,
 *   would_have_been?: string | null, by: { kind: string, name: string | null } }} ByHand */
/**
 * @typedef {{
 *   event_name: string, generated_at: string, tickets: { sold: number, came: number, no_shows: number, voided: number, refunded: number },
 *   classes: { class: string | null, sold: number, came: number, no_shows: number }[],
 *   scans: { recorded: number, entries: number, exits: number, denials: number, overrides: number, undos: number, conflicts: number, uploaded: number },
 *   arrivals: { entries: number, peak: Interval | null, gates: { gate_id: string, gate_name: string, entries: number, peak: Interval | null, intervals: Interval[] }[] },
 *   denials: { reason: string, count: number }[], overrides: ByHand[], undos: ByHand[],
 *   conflicts: import("./api.js").Conflict[], left_out: { overrides: number, undos: number, conflicts: number },
 *   devices: { name: string | null, scans: number, entries: number, exits: number, denials: number, uploaded: number, last_at: string }[],
 * }} Report
 */

const QUARTER_MS = 900000;

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function reportView({ watch }) {
  const made = h("p", { class: "summary" });
  const body = h("div", { class: "report" }, h("p", { class: "empty" }, t("loading")));
  const element = h("div", {}, h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_report")), made,
    button(t("refresh"), () => read()), button(t("print"), () => window.print())), body);
  read();

  async function read() {
    try {
      const report = await get(`/scanning/events/${watch.id}/report`);
      fill(made, t("as_of", { time: time(report.generated_at, "full") }));
      fill(body, ...parts(report));
    } catch (error) {
      fill(body, h("p", { class: "error", role: "alert" }, errorText(error)));
    }
  }

  return { element, show: () => {} };
}

/** @param {Report} report */
function parts({ tickets, classes, scans, arrivals, denials, overrides, undos, conflicts, left_out, devices }) {
  const facts = h("dl", { class: "facts" });
  showFacts(facts, [
    [t("sold"), number(tickets.sold)], [t("came"), tickets.sold ? `${number(tickets.came)} (${percent(tickets.came / tickets.sold)})` : number(tickets.came)],
    [t("no_shows"), number(tickets.no_shows)], [t("entries"), number(scans.entries)], [t("exits"), number(scans.exits)],
    [t("denied"), number(scans.denials)],
    [t("peak_quarter"), arrivals.peak ? `${number(arrivals.peak.entries)} · ${time(arrivals.peak.from, "day")}` : "–"],
  ]);
  return [
    section(t("attendance"), {}, facts),
    section(t("by_class"), {}, rows(t("by_class"), [t("class")], [t("sold"), t("came"), t("no_shows")],
      classes.map((one) => [one.class ?? t("no_class"), number(one.sold), number(one.came), number(one.no_shows)]))),
    section(t("denials_by_reason"), {}, rows(t("denials_by_reason"), [t("reason")], [t("scans")],
      denials.map((one) => [word("reason", one.reason), number(one.count)]))),
    section(t("arrivals"), { class: "wide" }, arrivalsChart(arrivals), rows(t("arrivals"), [t("gate")], [t("entries"), t("peak_quarter")],
      arrivals.gates.map((gate) => [gate.gate_name, number(gate.entries), gate.peak ? `${number(gate.peak.entries)} · ${time(gate.peak.from, "day")}` : "–"]))),
    section(t("view_devices"), { class: "wide" }, rows(t("view_devices"), [t("device")], [t("scans"), t("entries"), t("exits"), t("denied"), t("offline_scans"), t("last_scan")],
      devices.map((one) => [one.name ?? t("by_hand"), number(one.scans), number(one.entries), number(one.exits), number(one.denials), number(one.uploaded), time(one.last_at, "day")]))),
    section(t("overrides"), {}, byHand(overrides, left_out.overrides)),
    section(t("undos"), {}, byHand(undos, left_out.undos)),
    section(t("view_conflicts"), {}, conflicts.length
      ? h("ul", { class: "plain" }, ...conflicts.slice(0, 50).map((one) => h("li", {}, badge("warn", word("conflict", one.kind)),
        h("span", {}, ` ${one.gates.map((gate) => gate.name).join(", ")} ${masked(one.ticket_code)} ${one.times[0] ? time(one.times[0], "full") : ""}`))))
      : h("p", { class: "empty" }, t("none")), leftOut(left_out.conflicts + Math.max(0, conflicts.length - 50))),
  ];
}

/**
 * @param {string} caption
 * @param {string[]} names
 * @param {string[]} figures
 * @param {string[][]} cells
 */
function rows(caption, names, figures, cells) {
  if (!cells.length) return h("p", { class: "empty" }, t("none"));
  const made = table(caption, [...names.map((text) => ({ text })), ...figures.map((text) => ({ text, numeric: true }))]);
  made.body.append(...cells.map((row) => made.row(...row.map((cell) => [cell]))));
  return made.element;
}

/** @param {number} count */
function leftOut(count) {
  return count > 0 ? h("p", { class: "hint" }, t("left_out", { count: number(count) })) : null;
}

/**
 * @param {ByHand[]} list
 * @param {number} missing
 */
function byHand(list, missing) {
  if (!list.length) return h("p", { class: "empty" }, t("none"));
  return h("div", {}, h("ul", { class: "plain" }, ...list.map((one) => h("li", {},
    h("time", { datetime: one.at }, time(one.at, "full")),
    ` ${one.gate_name ?? ""} · ${one.by.name ?? word("actor", one.by.kind)} ${masked(one.ticket_code)}`,
    one.would_have_been ? ` · ${word("reason", one.would_have_been)}` : "",
    one.reason ? h("span", { class: "reason" }, ` “${one.reason}”`) : null))), leftOut(missing));
}

/** @param {Report["arrivals"]} arrivals */
function arrivalsChart({ gates }) {
  /** @type {Map<number, number>} */
  const sums = new Map();
  for (const { intervals } of gates) {
    for (const { from, entries } of intervals) sums.set(Date.parse(from), (sums.get(Date.parse(from)) ?? 0) + entries);
  }
  if (!sums.size) return h("p", { class: "empty" }, t("no_entries"));
  const last = Math.max(...sums.keys());
  // An event of several days shows its last day.
  const first = Math.max(Math.min(...sums.keys()), last - 96 * QUARTER_MS);
  const count = (last - first) / QUARTER_MS + 1;
  const top = roundUp(Math.max(...sums.values()));
  const width = 720;
  const step = width / Math.max(count, 8);
  const bars = [...sums].filter(([from]) => from >= first).map(([from, entries]) => svg("rect", {
    x: ((from - first) / QUARTER_MS) * step + step * 0.08, width: step * 0.84, y: 140 - (entries / top) * 130, height: (entries / top) * 130, class: "bar",
  }));
  const every = Math.ceil(count / 8);
  const labels = [];
  for (let index = 0; index < count; index += every) {
    labels.push(svg("text", { x: index * step, y: 158, "font-size": 13 }, time(first + index * QUARTER_MS, "minute")));
  }
  return svg("svg", { viewBox: `0 0 ${width} 164`, class: "arrivals-chart", role: "img", "aria-label": t("arrivals") },
    svg("line", { x1: 0, x2: width, y1: 140, y2: 140, class: "grid" }), ...bars, ...labels);
}
