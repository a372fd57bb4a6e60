// Devices: their state, pairing by QR code, and revocation.

import { change, get, now } from "./api.js";
import { ask, open, say } from "./dialog.js";
import { badge, button, fill, h, keyed, section, table } from "./dom.js";
import { ago, duration, number, percent, t, time, word } from "./text.js";

/** @typedef {import("./api.js").Device} Device */

const ONLINE_MS = 60000;
const IDLE_MS = 300000;
const PAIRING_POLL_MS = 1200;

/** @param {Device} device */
export function stateOf(device) {
  if (device.status !== "active") return "inactive";
  if (!device.last_seen_at) return "never";
  const age = now() - Date.parse(device.last_seen_at);
  return age <= ONLINE_MS ? "online" : age <= IDLE_MS ? "idle" : "silent";
}

/** @param {Device} device */
export function stateBadge(device) {
  const state = stateOf(device);
  const tone = state === "online" ? "good" : state === "idle" ? "warn" : state === "silent" ? "bad" : "plain";
  return badge(tone, word("device", state), { online: "●", idle: "◐", silent: "✕", never: "○", inactive: "–" }[state]);
}

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function devicesView({ watch, isAdmin }) {
  const filter = h("input", { id: "filter", type: "search", autocomplete: "off" });
  const withInactive = h("input", { type: "checkbox", id: "with-inactive" });
  const columns = [
    { text: t("device") }, { text: t("status") }, { text: t("gate") }, { text: t("battery"), numeric: true },
    { text: t("waiting"), numeric: true }, { text: t("app") }, { text: t("last_seen") },
  ];
  const devices = table(t("view_devices"), isAdmin ? [...columns, { text: t("actions"), hidden: true }] : columns);
  const summary = h("p", { class: "summary" });
  const empty = h("p", { class: "empty" });
  const element = h("div", {},
    h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_devices")), summary,
      isAdmin && button(t("add_device"), add, { class: "primary" })),
    h("div", { class: "filters" },
      h("div", { class: "field" }, h("label", { for: "filter" }, t("filter_devices")), filter),
      h("label", { class: "check" }, withInactive, t("also_inactive"))),
    section(t("view_devices"), { class: "plain-title" }, devices.element, empty),
    isAdmin ? null : h("p", { class: "hint" }, t("only_admins")));
  filter.addEventListener("input", show);
  withInactive.addEventListener("change", show);

  /** @param {Device} device */
  const gateOf = (device) => {
    const session = watch.sessions.find((one) => one.device_id === device.id);
    return session ? watch.gates.get(session.gate_id)?.name ?? "" : "";
  };

  function show() {
    const wanted = filter.value.trim().toLocaleLowerCase();
    const order = ["silent", "idle", "online", "never", "inactive"];
    const shown = [...watch.devices.values()]
      .filter((device) => device.settings.rehearsal !== true && (withInactive.checked || device.status === "active"))
      .filter((device) => `${device.name} ${device.device_id} ${gateOf(device)}`.toLocaleLowerCase().includes(wanted))
      .sort((a, b) => Number(gateOf(b) !== "") - Number(gateOf(a) !== "") || order.indexOf(stateOf(a)) - order.indexOf(stateOf(b)) || a.name.localeCompare(b.name));
    const online = shown.filter((device) => stateOf(device) === "online").length;
    fill(summary, watch.devices.size ? t("devices_summary", { online: number(online), all: number(shown.length) }) : "");
    fill(empty, watch.asOf && !shown.length ? t("no_devices") : "");
    keyed(devices.body, shown, (device) => device.id, (device) => devices.row([], [], [], [], [], [], [],
      ...(isAdmin ? [[actions(device)]] : [])), (row, device) => {
      const { app, battery, waiting } = device;
      const low = battery !== null && battery <= 0.2;
      const values = [
        [h("strong", {}, device.name), h("span", { class: "below" }, device.device_id)], [stateBadge(device)], [gateOf(device) || "–"],
        [battery === null ? "–" : low ? badge("bad", percent(battery)) : percent(battery)],
        [waiting === null ? "–" : waiting > 100 ? badge("warn", number(waiting)) : number(waiting)],
        [app ? app.name : "–", app && h("span", { class: "below" }, app.version)], [device.last_seen_at ? ago(now() - Date.parse(device.last_seen_at)) : "–"],
      ];
      values.forEach((value, index) => {
        const cell = row.children[index];
        if (cell) fill(cell, ...value);
      });
      for (const one of row.querySelectorAll("button")) one.disabled = device.status !== "active";
    });
  }

  /** @param {Device} device */
  function actions(device) {
    const current = () => watch.devices.get(device.id) ?? device;
    return h("span", { class: "row-actions" },
      button(t("pair"), () => pair(current()), { "aria-label": `${t("pair")}: ${device.name}` }),
      button(t("revoke"), () => revoke(current()), { class: "danger", "aria-label": `${t("revoke")}: ${device.name}` }));
  }

  async function add() {
    /** @type {Device | null} */
    let added = null;
    await ask({
      title: t("add_device"),
      fields: [
        { name: "name", label: t("device_name"), required: true, maxLength: 200 },
        { name: "device_id", label: t("device_label"), required: true, maxLength: 64, pattern: "[A-Za-z0-9._\\-]+", hint: t("device_label_hint") },
      ],
      action: t("add_and_pair"),
      run: async ({ name, device_id }) => {
        added = await change("POST", "/scanning/devices", { name, device_id });
      },
    });
    if (!added) return;
    await watch.readFacts();
    await pair(added);
  }

  /** @param {Device} device */
  async function revoke(device) {
    const done = await ask({
      title: t("ask_revoke", { device: device.name }), text: t("ask_revoke_text"), action: t("revoke"), isDanger: true,
      run: () => change("DELETE", `/scanning/devices/${device.id}`),
    });
    if (!done) return;
    say(t("was_revoked", { device: device.name }));
    await watch.readFacts();
  }

  /**
   * Shows the code until a phone has used it.
   * @param {Device} device
   */
  async function pair(device) {
    /** @type {{ code: string, expires_at: string, uri: string, qr_svg: string } | null} */
    let enrollment = null;
    const asked = await ask({
      title: t("ask_pair", { device: device.name }), text: t("ask_pair_text"), action: t("show_code"),
      run: async () => {
        enrollment = await change("POST", `/scanning/devices/${device.id}/enrollment`);
      },
    });
    if (asked && enrollment) await showCode(device, enrollment);
  }

  /**
   * @param {Device} device
   * @param {{ code: string, expires_at: string, uri: string, qr_svg: string }} enrollment
   */
  async function showCode(device, { code, expires_at, uri, qr_svg }) {
    const before = await get(`/scanning/devices/${device.id}`);
    const server = new URLSearchParams(uri.split("?")[1]).get("server") ?? "";
    const left = h("p", { class: "hint", role: "timer" });
    const state = h("p", { role: "status", class: "pairing" }, t("waiting_for_phone"));
    const picture = h("img", { src: `data:image/svg+xml,${encodeURIComponent(qr_svg)}`, alt: t("qr_alt"), class: "qr", width: 320, height: 320 });
    const close = h("button", { type: "button", class: "primary", click: () => dialog.close() }, t("close"));
    const dialog = h("dialog", { "aria-labelledby": "pairing" },
      h("h2", { id: "pairing" }, t("pair_title", { device: device.name })),
      h("p", {}, t("pair_text")), picture, h("p", { class: "pairing-code" }, h("code", {}, code)),
      h("p", { class: "hint" }, server), server.includes("//127.") || server.includes("//localhost") ? h("p", { class: "error" }, t("server_is_local")) : null,
      left, state, h("div", { class: "actions" }, close));
    const tick = () => {
      const seconds = Math.max(0, Math.round((Date.parse(expires_at) - now()) / 1000));
      fill(left, seconds ? t("code_works_for", { time: duration(seconds) }) : t("code_expired"));
    };
    tick();
    const poll = async () => {
      tick();
      const found = await get(`/scanning/devices/${device.id}`).catch(() => null);
      const isPaired = found && found.updated_at !== before.updated_at && found.app && (found.last_seen_at ?? "") >= found.updated_at;
      if (!isPaired) return;
      clearInterval(timer);
      picture.remove();
      left.remove();
      fill(state, badge("good", t("was_paired", { device: device.name })));
      await watch.readFacts();
    };
    const timer = setInterval(poll, PAIRING_POLL_MS);
    await new Promise((done) => open(dialog, () => {
      clearInterval(timer);
      done(undefined);
    }));
  }

  return { element, show };
}
