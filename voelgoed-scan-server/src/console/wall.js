// The wall: the live figures for a large screen that nobody touches. It fills the screen, and keeps it awake.

import { now } from "./api.js";
import { drawCurve } from "./chart.js";
import { badge, button, fill, h, keyed } from "./dom.js";
import { capacityText, fillBar, fontSize, gateFigures, gateStatus, showScans, signalSubject, signalTone } from "./live.js";
import { number, t, time, word } from "./text.js";

/** How many gates have room. The fullest are shown. */
const SHOWN_GATES = 12;

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function wallView({ watch, isStaff, go }) {
  const heading = h("h1", { tabindex: "-1" });
  const clock = h("time", { class: "clock" });
  const inside = h("p", { class: "huge" }, "–");
  const capacity = h("p", { class: "of" });
  const bar = h("div", { class: "wide-bar" });
  const rate = h("p", { class: "rate" }, "–");
  const curve = h("div", { class: "curve" });
  const gates = h("ul", { class: "wall-gates" });
  const scans = h("ol", { class: "scans" });
  const signals = h("ul", { class: "signals" });
  const full = button(t("full_screen"), () => {
    document.documentElement.requestFullscreen().catch(() => {});
  }, { hidden: !document.fullscreenEnabled });
  const element = h("div", { class: "wall" },
    h("div", { class: "wall-head" }, heading, signals, clock,
      h("span", { class: "wall-actions" }, full, button(t("leave_wall"), () => go("live")))),
    h("section", { class: "wall-inside", "aria-label": t("inside") }, h("h2", {}, t("inside")), inside, capacity, bar),
    h("section", { class: "wall-rate", "aria-label": t("scans_per_minute") }, h("h2", {}, t("scans_per_minute")), rate),
    h("section", { class: "wall-curve", "aria-label": t("curve_title") }, h("h2", {}, t("curve_title")), curve),
    h("section", { class: "wall-places", "aria-label": t("view_gates") }, gates),
    h("section", { class: "wall-scans", "aria-label": t("last_scans") }, h("h2", {}, t("last_scans")), scans));
  const observer = new ResizeObserver(() => show());
  observer.observe(curve);
  const escape = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && !document.fullscreenElement) go("live");
  };
  document.addEventListener("keydown", escape);
  /** @type {WakeLockSentinel | undefined} */
  let lock;
  const stayAwake = () => {
    if (document.visibilityState === "visible") {
      navigator.wakeLock?.request("screen").then((taken) => {
        lock = taken;
      }, () => {});
    }
  };
  document.addEventListener("visibilitychange", stayAwake);
  stayAwake();

  function show() {
    const { occupancy, activity, event } = watch;
    fill(heading, event?.name ?? "");
    fill(clock, time(now(), "second"));
    if (occupancy) {
      const { event: count } = occupancy;
      fill(inside, number(count.inside));
      fill(capacity, capacityText(count));
      fill(bar, fillBar(count));
    }
    fill(rate, number(watch.lastMinute()));
    if (activity) drawCurve(curve, activity, fontSize(curve));
    showGates();
    showScans(watch, scans, 6);
    const [latest, ...others] = isStaff ? watch.openSignals.sort((a, b) => b.opened_at.localeCompare(a.opened_at)) : [];
    fill(signals, latest && h("li", {}, badge(signalTone(latest.kind), `${word("signal", latest.kind)} · ${signalSubject(watch, latest)}`)),
      others.length > 0 && h("li", {}, `+${number(others.length)}`));
  }

  function showGates() {
    const share = (/** @type {{ inside: number, capacity: number | null }} */ gate) => gate.inside / (gate.capacity || Infinity);
    const all = gateFigures(watch);
    const shown = all.length > SHOWN_GATES ? [...all].sort((a, b) => share(b) - share(a)).slice(0, SHOWN_GATES) : all;
    gates.style.setProperty("--columns", String(Math.min(6, Math.max(2, Math.ceil(shown.length / (shown.length > 4 ? 2 : 1))))));
    keyed(gates, shown, (gate) => gate.id, () => h("li", {}), (item, gate) => {
      fill(item, h("div", { class: "gate-name" }, h("strong", {}, gate.name), gateStatus(gate.status)),
        h("div", { class: "gate-figures" },
          h("p", { class: "gate-inside" }, number(gate.inside), gate.capacity === null ? null : h("span", { class: "faint" }, `/ ${number(gate.capacity)}`)),
          h("p", { class: "faint" }, h("span", {}, `${number(gate.rate)}/min`), h("span", {}, t("gate_denied", { count: number(gate.denials) })),
            h("span", {}, t("gate_devices", { online: number(gate.online), devices: number(gate.devices) })))),
        fillBar(gate));
    });
  }

  return {
    element,
    show,
    leave: () => {
      observer.disconnect();
      document.removeEventListener("keydown", escape);
      document.removeEventListener("visibilitychange", stayAwake);
      lock?.release().catch(() => {});
    },
  };
}
