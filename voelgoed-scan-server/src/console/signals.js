// Signals: what somebody should look at, now and before, and the rules by which signals are found.

import { change, get, now } from "./api.js";
import { ask, say } from "./dialog.js";
import { badge, button, fill, h, keyed, section, table } from "./dom.js";
import { signalSubject, signalTone } from "./live.js";
import { duration, errorText, number, t, time, word } from "./text.js";

/** @typedef {import("./api.js").Signal} Signal */
/** @typedef {{ enabled: boolean, limit: number | null, within_s: number | null, close_s: number | null }} Rule */

const READ_EVERY_MS = 8000;

/** @param {Signal} signal */
function explanation({ kind, details }) {
  /** @param {string | undefined} at */
  const shown = (at) => (at ? time(at) : "–");
  return word("signal_text", kind)
    .replace(/\{(\w+)\}/g, (_, name) => {
      const value = details[name];
      if (name === "within") return duration(details.within_s ?? 0);
      return typeof value === "number" ? number(value) : shown(value);
    });
}

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function signalsView({ watch, isAdmin }) {
  const onlyOpen = h("input", { type: "checkbox", id: "only-open", checked: true });
  const note = h("p", { class: "empty", role: "status" });
  const list = h("ul", { class: "signal-list" });
  const rules = table(t("signal_rules"), [
    { text: t("kind") }, { text: t("status") }, { text: t("limit"), numeric: true }, { text: t("within"), numeric: true },
    { text: t("closes_after"), numeric: true }, ...(isAdmin ? [{ text: t("actions"), hidden: true }] : []),
  ]);
  const element = h("div", {},
    h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_signals")), h("label", { class: "check" }, onlyOpen, t("only_open"))),
    note, list, section(t("signal_rules"), {}, rules.element));
  /** @type {Map<string, Signal>} */
  let past = new Map();
  onlyOpen.addEventListener("change", () => read());
  const timer = setInterval(read, READ_EVERY_MS);
  read();
  readRules();

  async function read() {
    try {
      if (!onlyOpen.checked) {
        const found = await get(`/scanning/signals?event_id=${watch.id}&limit=200`);
        past = new Map(found.data.map((/** @type {Signal} */ one) => [one.id, one]));
      }
      show();
    } catch (error) {
      fill(note, errorText(error));
    }
  }

  async function readRules() {
    try {
      showRules(await get("/organization/signals"));
    } catch (error) {
      fill(note, errorText(error));
    }
  }

  function show() {
    const all = onlyOpen.checked ? watch.openSignals : [...new Map([...past, ...watch.signals]).values()];
    const shown = all.sort((a, b) => b.opened_at.localeCompare(a.opened_at));
    if (watch.asOf) fill(note, shown.length ? "" : t("no_signals"));
    keyed(list, shown, (signal) => signal.id, () => h("li", { class: "card" }), (item, signal) => {
      const seconds = ((signal.closed_at ? Date.parse(signal.closed_at) : now()) - Date.parse(signal.opened_at)) / 1000;
      fill(item,
        h("div", { class: "card-head" }, badge(signal.closed_at ? "plain" : signalTone(signal.kind), word("signal", signal.kind)),
          h("strong", {}, signalSubject(watch, signal)),
          h("span", { class: "faint" }, signal.closed_at
            ? `${time(signal.opened_at, "full")} – ${time(signal.closed_at)}` : t("open_since", { time: time(signal.opened_at), duration: duration(Math.max(0, seconds)) }))),
        h("p", {}, explanation(signal)));
    });
  }

  /** @param {Record<string, Rule>} settings */
  function showRules(settings) {
    keyed(rules.body, Object.entries(settings), ([kind]) => kind, () => h("tr", { role: "row" }), (row, [kind, rule]) => {
      const isShare = kind.startsWith("occupancy") || kind === "device_errors";
      const cells = rules.row([word("signal", kind)], [rule.enabled ? badge("good", t("on")) : badge("plain", t("off"))],
        [rule.limit === null ? "–" : isShare ? `${number(rule.limit)} %` : number(rule.limit)],
        [rule.within_s === null ? "–" : duration(rule.within_s)], [rule.close_s === null ? "–" : duration(rule.close_s)],
        ...(isAdmin ? [[button(t("change"), () => edit(kind, rule), { class: "small", "aria-label": `${t("change")}: ${word("signal", kind)}` })]] : []));
      row.replaceChildren(...cells.children);
    });
  }

  /**
   * @param {string} kind
   * @param {Rule} rule
   */
  async function edit(kind, rule) {
    const figures = /** @type {const} */ ([["limit", t("limit")], ["within_s", t("within_seconds")], ["close_s", t("close_seconds")]])
      .filter(([name]) => rule[name] !== null)
      .map(([name, label]) => ({ name, label, type: /** @type {const} */ ("number"), value: String(rule[name]), required: true }));
    const done = await ask({
      title: word("signal", kind),
      fields: [{ name: "enabled", label: t("status"), type: "select", value: String(rule.enabled), options: [
        { value: "true", text: t("on") }, { value: "false", text: t("off") }] }, ...figures],
      action: t("change"),
      run: (values) => change("PUT", "/organization/signals", { [kind]: {
        enabled: values.enabled === "true", ...Object.fromEntries(figures.map(({ name }) => [name, Number(values[name])])) } }),
    });
    if (!done) return;
    say(t("rule_was_changed"));
    await readRules();
  }

  return { element, show, leave: () => clearInterval(timer) };
}
