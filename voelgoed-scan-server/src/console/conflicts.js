// Conflicts: offline scans that contradict the rules or each other, and accepting those in quarantine.

import { all, change } from "./api.js";
import { ask, say } from "./dialog.js";
import { badge, button, fill, h, keyed } from "./dom.js";
import { errorText, masked, t, time, word } from "./text.js";

/** @typedef {import("./api.js").Conflict} Conflict */

const READ_EVERY_MS = 10000;
const SHOWN = 500;

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function conflictsView({ watch, isAdmin }) {
  const kind = h("select", { id: "kind" }, h("option", { value: "" }, t("all_kinds")),
    ...["double_entry", "let_in_despite_status", "admitted_offline", "not_admissible", "unverified"].map((one) => h("option", { value: one }, word("conflict", one))));
  const note = h("p", { class: "empty", role: "status" });
  const list = h("ul", { class: "conflicts" });
  const element = h("div", {},
    h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_conflicts"))),
    h("p", { class: "hint" }, t("conflicts_hint")),
    h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: "kind" }, t("kind")), kind)), note, list);
  kind.addEventListener("change", () => read());
  const timer = setInterval(read, READ_EVERY_MS);
  read();

  async function read() {
    try {
      const filter = kind.value ? `&kind=${kind.value}` : "";
      /** @type {Conflict[]} */
      const found = await all(`/scanning/conflicts?event_id=${watch.id}${filter}`, undefined, SHOWN);
      if (!kind.value) watch.conflicts = found.length;
      fill(note, found.length ? "" : t("no_conflicts"));
      keyed(list, found, (one) => `${one.kind}:${one.other_scan_id}`, card, () => {});
      watch.changed();
    } catch (error) {
      fill(note, errorText(error));
    }
  }

  /** @param {Conflict} conflict */
  function card(conflict) {
    const { times, gates, devices } = conflict;
    const sides = times.map((at, index) => h("li", {}, h("time", { datetime: at }, time(at, "full")),
      h("span", {}, [gates[index]?.name, devices[index]?.name].filter(Boolean).join(" · "))));
    return h("li", { class: "card" },
      h("div", { class: "card-head" }, badge(conflict.kind === "unverified" ? "bad" : "warn", word("conflict", conflict.kind)),
        h("span", { class: "code" }, masked(conflict.ticket_code))),
      h("p", {}, word("conflict_text", conflict.kind)), h("ol", { class: "sides" }, ...sides),
      isAdmin && conflict.kind === "unverified"
        ? h("div", { class: "actions start" }, button(t("accept"), () => accept(conflict), { "aria-label": `${t("accept")}: ${masked(conflict.ticket_code)} ${times[0] ? time(times[0]) : ""}` }))
        : null);
  }

  /** @param {Conflict} conflict */
  async function accept(conflict) {
    const done = await ask({
      title: t("ask_accept"), text: t("ask_accept_text"),
      fields: [{ name: "reason", label: t("reason"), required: true, maxLength: 500 }],
      action: t("accept"),
      run: ({ reason }) => change("POST", `/scanning/conflicts/${conflict.other_scan_id}/accept`, { reason }),
    });
    if (!done) return;
    say(t("was_accepted"));
    await read();
    element.querySelector("h1")?.focus();
  }

  return { element, show: () => {}, leave: () => clearInterval(timer) };
}
