// Gates: open and close them, and change how many people they take.

import { change } from "./api.js";
import { ask, say } from "./dialog.js";
import { button, fill, h, keyed, section, table } from "./dom.js";
import { fillBar, gateFigures, gateStatus } from "./live.js";
import { number, t } from "./text.js";

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function gatesView({ watch, isAdmin }) {
  const columns = [
    { text: t("gate") }, { text: t("status") }, { text: t("inside"), numeric: true }, { text: t("entries"), numeric: true },
    { text: t("exits"), numeric: true }, { text: t("denied"), numeric: true }, { text: t("classes") }, { text: t("devices_online"), numeric: true },
  ];
  const gates = table(t("view_gates"), isAdmin ? [...columns, { text: t("actions"), hidden: true }] : columns);
  const empty = h("p", { class: "empty", hidden: true }, t("no_gates"));
  const element = h("div", {},
    h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_gates"))),
    section(t("view_gates"), { class: "plain-title" }, gates.element, empty),
    isAdmin ? null : h("p", { class: "hint" }, t("only_admins")));

  /**
   * Replaces a gate. All its other facts stay as they are on the server.
   * @param {string} id
   * @param {Partial<import("./api.js").Gate>} changes
   */
  async function put(id, changes) {
    const gate = await change("GET", `/events/${watch.id}/gates/${id}`);
    const { name, code, status, capacity, ticket_classes } = { ...gate, ...changes };
    const changed = await change("PUT", `/events/${watch.id}/gates/${id}`, { name, code, status, capacity, ticket_classes });
    watch.gates.set(id, changed);
    watch.changed();
    watch.readFacts();
  }

  /** @param {import("./api.js").Gate} gate */
  async function toggle(gate) {
    const opens = gate.status === "closed";
    const done = await ask({
      title: t(opens ? "ask_open_gate" : "ask_close_gate", { gate: gate.name }),
      text: t(opens ? "ask_open_gate_text" : "ask_close_gate_text"),
      action: t(opens ? "open_gate" : "close_gate"),
      isDanger: !opens,
      run: () => put(gate.id, { status: opens ? "open" : "closed" }),
    });
    if (done) say(t(opens ? "gate_was_opened" : "gate_was_closed", { gate: gate.name }));
  }

  /** @param {import("./api.js").Gate} gate */
  async function resize(gate) {
    const done = await ask({
      title: t("ask_capacity", { gate: gate.name }),
      fields: [{ name: "capacity", label: t("capacity"), type: "number", value: gate.capacity === null ? "" : String(gate.capacity), hint: t("capacity_hint") }],
      action: t("change_capacity"),
      run: ({ capacity }) => put(gate.id, { capacity: capacity ? Number(capacity) : null }),
    });
    if (done) say(t("capacity_was_changed", { gate: gate.name }));
  }

  function show() {
    const figures = gateFigures(watch);
    empty.hidden = figures.length > 0 || !watch.occupancy;
    keyed(gates.body, figures, (gate) => gate.id, () => {
      const row = gates.row([], [], [], [], [], [], [], [], ...(isAdmin ? [[h("span", { class: "row-actions" })]] : []));
      return row;
    }, (row, figure) => {
      const gate = watch.gates.get(figure.id);
      const values = [
        [h("strong", {}, figure.name), gate?.code ? h("span", { class: "below" }, gate.code) : null], [gateStatus(figure.status)],
        [number(figure.inside), figure.capacity === null ? null : h("span", { class: "faint" }, ` / ${number(figure.capacity)}`), fillBar(figure)],
        [number(figure.entries)], [number(figure.exits)], [number(figure.denials)], [gate?.ticket_classes?.join(", ") ?? t("all_classes")],
        [`${number(figure.online)} / ${number(figure.devices)}`],
      ];
      values.forEach((value, index) => {
        const cell = row.children[index];
        if (cell) fill(cell, ...value);
      });
      const actions = row.querySelector(".row-actions");
      // The buttons stay while their gate does, so that they keep the focus.
      if (actions && gate && (actions.children.length === 0 || row.dataset.status !== gate.status)) {
        const current = () => watch.gates.get(gate.id) ?? gate;
        const hadFocus = actions.contains(document.activeElement);
        fill(actions,
          button(t(gate.status === "open" ? "close_gate" : "open_gate"), () => toggle(current()), { "aria-label": `${t(gate.status === "open" ? "close_gate" : "open_gate")}: ${gate.name}` }),
          button(t("capacity"), () => resize(current()), { "aria-label": `${t("capacity")}: ${gate.name}` }));
        row.dataset.status = gate.status;
        if (hadFocus) actions.querySelector("button")?.focus();
      }
    });
  }

  return { element, show };
}
