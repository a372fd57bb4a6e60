// Live: how full the event is, how people arrive, what happens at each gate.

import { drawCurve, sparkline } from "./chart.js";
import { now } from "./api.js";
import { badge, fill, h, keyed, section, table } from "./dom.js";
import { masked, number, percent, t, time, word } from "./text.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./api.js").Scan} Scan */

const SHOWN_SCANS = 14;

/** The sign of each result, so that the colour is never needed. */
const SIGNS = /** @type {Record<string, string>} */ ({
  valid: "✓", duplicate: "2×", invalid_token: "?", wrong_event: "≠", wrong_gate: "↷", refused: "✕",
});

/** @param {Scan} scan */
export function resultBadge(scan) {
  const isExit = scan.result === "valid" && scan.direction === "exit";
  const tone = scan.undone ? "plain" : isExit ? "plain" : scan.result === "valid" ? (scan.reason === "overridden" ? "warn" : "good") : "bad";
  return badge(tone, word("reason", scan.reason), scan.undone ? "↶" : isExit ? "←" : SIGNS[scan.result] ?? "✕");
}

/**
 * How full a place is, in words and as a bar.
 * @param {{ inside: number, capacity: number | null }} count
 */
export function fillBar({ inside, capacity }) {
  if (!capacity) return h("span", {});
  const share = Math.max(0, inside / capacity);
  const tone = share >= 1 ? "bad" : share >= 0.9 ? "warn" : "good";
  const bar = h("span", { class: "fill" });
  bar.style.inlineSize = `${Math.min(100, share * 100)}%`;
  return h("span", { class: `track ${tone}`, role: "meter", "aria-valuemin": 0, "aria-valuemax": capacity,
    "aria-valuenow": Math.min(Math.max(inside, 0), capacity), "aria-label": t("inside"),
    "aria-valuetext": `${number(inside)} / ${number(capacity)}, ${percent(share)}` }, bar);
}

/**
 * How many of the counted scans were denied.
 * @param {Record<string, number>} results
 */
function denialsOf(results) {
  return Object.entries(results).reduce((sum, [result, count]) => (result === "valid" ? sum : sum + count), 0);
}

/** @param {import("./api.js").Count} count */
export function capacityText({ inside, capacity }) {
  if (capacity === null) return t("no_capacity");
  return t("of_capacity", {
    capacity: number(capacity), share: percent(capacity ? inside / capacity : 0), free: number(Math.max(0, capacity - inside)),
  });
}

/** The font size of an element, in pixels. @param {Element} element */
export function fontSize(element) {
  return parseFloat(getComputedStyle(element).fontSize);
}

/**
 * What is known of each gate.
 * @param {Context["watch"]} watch
 */
export function gateFigures(watch) {
  return (watch.occupancy?.gates ?? []).map((count) => {
    const activity = watch.activity?.gates.find((gate) => gate.id === count.id);
    const denials = denialsOf(activity?.results ?? {});
    const sessions = watch.sessions.filter((session) => session.gate_id === count.id);
    const online = sessions.filter((session) => {
      const seen = watch.devices.get(session.device_id)?.last_seen_at;
      return seen && now() - Date.parse(seen) <= 60000;
    });
    return {
      ...count, status: watch.gates.get(count.id)?.status ?? "open", rate: watch.lastMinute(count.id), denials,
      devices: sessions.length, online: online.length, entriesByMinute: activity?.entries ?? [],
    };
  });
}

/** @param {"open" | "closed"} status */
export function gateStatus(status) {
  return status === "open" ? badge("good", t("gate_open")) : badge("bad", t("gate_closed"));
}

/**
 * One line a scan.
 * @param {Context["watch"]} watch
 * @param {Element} list
 * @param {number} count
 */
export function showScans(watch, list, count) {
  keyed(list, watch.latest().slice(0, count), (scan) => `${scan.scan_id}${scan.undone ? "u" : ""}`, (scan) => h("li", {},
    h("time", { datetime: scan.scanned_at }, time(scan.scanned_at)), resultBadge(scan),
    // The complete code would admit everyone who can read the screen.
    h("span", { class: "code" }, masked(scan.ticket_code)),
    h("span", { class: "where" }, watch.gates.get(scan.gate_id)?.name ?? watch.occupancy?.gates.find((gate) => gate.id === scan.gate_id)?.name ?? "")),
  (element, scan) => {
    const where = element.querySelector(".where");
    if (where && !where.textContent) fill(where, watch.gates.get(scan.gate_id)?.name ?? "");
  });
}

/**
 * A signal in one sentence.
 * @param {Context["watch"]} watch
 * @param {import("./api.js").Signal} signal
 */
export function signalSubject(watch, signal) {
  const device = signal.device_id ? watch.devices.get(signal.device_id)?.name : null;
  const gate = signal.gate_id ? watch.gates.get(signal.gate_id)?.name : null;
  const gates = (signal.details.gate_ids ?? []).map((/** @type {string} */ id) => watch.gates.get(id)?.name).filter(Boolean).join(" → ");
  return [device, gates || gate].filter(Boolean).join(" · ") || (signal.kind.startsWith("occupancy") ? watch.event?.name ?? "" : "");
}

/** @param {string} kind */
export function signalTone(kind) {
  return kind === "occupancy_100" || kind === "impossible_travel" || kind === "device_silent" ? "bad" : "warn";
}

/**
 * @param {Context} context
 * @returns {import("./app.js").View}
 */
export function liveView({ watch, isStaff, go }) {
  const inside = h("p", { class: "huge", id: "inside" }, "–");
  const capacity = h("p", { class: "of" });
  const bar = h("div", { class: "wide-bar" });
  const facts = h("dl", { class: "facts" });
  const curve = h("div", { class: "curve" });
  const gates = table(t("view_gates"), [
    { text: t("gate") }, { text: t("status") }, { text: t("inside"), numeric: true }, { text: t("per_minute"), numeric: true },
    { text: t("last_half_hour") }, { text: t("denied"), numeric: true }, { text: t("devices_online"), numeric: true },
  ]);
  const scans = h("ol", { class: "scans" });
  const signals = h("ul", { class: "signals" });
  const heading = h("h1", { tabindex: "-1" }, "");
  const state = h("span", {});
  const element = h("div", { class: "live" },
    h("div", { class: "view-head" }, heading, state,
      h("button", { type: "button", click: () => go("wall") }, t("view_wall"))),
    section(t("inside"), { class: "inside" }, inside, capacity, bar, facts),
    section(t("curve_title"), { class: "arrivals" }, curve),
    section(t("view_gates"), { class: "gates" }, gates.element),
    section(t("last_scans"), { class: "last" }, scans),
    isStaff ? section(t("view_signals"), { class: "open-signals" }, signals) : null);
  const observer = new ResizeObserver(() => show());
  observer.observe(curve);

  function show() {
    const { occupancy, activity, event } = watch;
    fill(heading, event?.name ?? "");
    fill(state, event ? badge(event.status === "live" ? "good" : "warn", word("event", event.status)) : "");
    if (occupancy) {
      const { event: count } = occupancy;
      fill(inside, number(count.inside));
      fill(capacity, capacityText(count));
      fill(bar, fillBar(count));
      showFacts(facts, [
        [t("entries"), number(count.entries)], [t("exits"), number(count.exits)],
        [t("scans_per_minute"), number(watch.lastMinute())], [t("denied"), number(denialsOf(occupancy.results))],
      ]);
    }
    if (activity) drawCurve(curve, activity, fontSize(curve));
    showGates();
    showScans(watch, scans, SHOWN_SCANS);
    if (isStaff) showSignals(signals);
  }

  function showGates() {
    keyed(gates.body, gateFigures(watch), (gate) => gate.id, () => h("tr", { role: "row" }), (row, gate) => {
      const count = [number(gate.inside), gate.capacity === null ? null : h("span", { class: "faint" }, ` / ${number(gate.capacity)}`), fillBar(gate)];
      const cells = gates.row([h("strong", {}, gate.name)], [gateStatus(gate.status)], count, [number(gate.rate)],
        [sparkline(gate.entriesByMinute)], [number(gate.denials)], [`${number(gate.online)} / ${number(gate.devices)}`]);
      row.replaceChildren(...cells.children);
    });
  }

  /** @param {Element} list */
  function showSignals(list) {
    const open = watch.openSignals.sort((a, b) => b.opened_at.localeCompare(a.opened_at)).slice(0, 6);
    if (!open.length) {
      fill(list, h("li", { class: "quiet" }, badge("good", t("no_signals"))));
      return;
    }
    fill(list, ...open.map((signal) => h("li", {}, badge(signalTone(signal.kind), word("signal", signal.kind)),
      h("span", {}, signalSubject(watch, signal)), h("time", { datetime: signal.opened_at }, time(signal.opened_at, "minute")))));
  }

  return { element, show, leave: () => observer.disconnect() };
}

/**
 * @param {Element} list
 * @param {[name: string, value: string][]} facts
 */
export function showFacts(list, facts) {
  keyed(list, facts, ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd", {})), (element, [, value]) => {
    const place = element.querySelector("dd");
    if (place) fill(place, value);
  });
}
