// Guests: find a ticket, see its whole history, check its holder in by hand, undo, void and reactivate.

import { all, ApiError, change, get, newId } from "./api.js";
import { ask, say } from "./dialog.js";
import { badge, button, fill, h, keyed, section } from "./dom.js";
import { resultBadge } from "./live.js";
import { errorText, masked, number, t, time, word } from "./text.js";

/** @typedef {import("./api.js").Ticket} Ticket */
/** @typedef {import("./api.js").Scan} Scan */
/** @typedef {{ at: string, actor: { kind: string, name: string | null }, changes: Record<string, [any, any]> }} AuditEntry */

const TYPING_PAUSE_MS = 250;
const SHOWN_TICKETS = 50;

/** @param {string} status */
function statusBadge(status) {
  const tone = status === "active" ? "plain" : status === "scanned" ? "good" : "bad";
  return badge(tone, word("ticket", status));
}

/** @param {Ticket["seat"]} seat */
function seatText(seat) {
  return seat ? [seat.block, seat.row, seat.number].filter(Boolean).join(" · ") : "";
}

/**
 * The admissions that nobody has left by, as far as the records tell.
 * @param {Scan[]} scans oldest first
 */
export function openAdmissions(scans) {
  /** @type {Scan[]} */
  const open = [];
  for (const scan of scans) {
    if (scan.result !== "valid" || scan.undone) continue;
    if (scan.direction === "entry") open.push(scan);
    else open.pop();
  }
  return new Set(open.map((scan) => scan.scan_id));
}

/**
 * @param {import("./app.js").Context} context
 * @returns {import("./app.js").View}
 */
export function guestsView({ watch, isAdmin }) {
  const input = h("input", { id: "search", type: "search", autocomplete: "off", spellcheck: "false", "aria-describedby": "search-hint" });
  const note = h("p", { class: "empty", role: "status" });
  const list = h("ul", { class: "results" });
  const details = h("div", { class: "ticket" });
  const form = h("form", { role: "search", class: "search" },
    h("div", { class: "field" }, h("label", { for: "search" }, t("search_label")), input,
      h("span", { class: "hint", id: "search-hint" }, t("search_hint"))));
  const element = h("div", { class: "guests" },
    h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, t("view_guests"))),
    h("div", { class: "columns" }, h("div", {}, form, note, list), details));
  /** @type {AbortController | null} */
  let searching = null;
  let timer = 0;
  /** @type {Ticket | null} */
  let selected = null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(search, TYPING_PAUSE_MS);
  });

  async function search() {
    clearTimeout(timer);
    searching?.abort();
    const text = input.value.trim();
    if (!text) {
      fill(note, "");
      fill(list);
      return;
    }
    searching = new AbortController();
    const { signal } = searching;
    try {
      const found = await get(`/events/${watch.id}/tickets?q=${encodeURIComponent(text)}&limit=${SHOWN_TICKETS}`, signal);
      showResults(found.data);
      fill(note, found.data.length === 0 ? t("nobody_found") : found.next_cursor ? t("more_found", { count: SHOWN_TICKETS }) : "");
    } catch (error) {
      if (signal.aborted) return;
      fill(list);
      const isTooShort = error instanceof ApiError && error.status === 422;
      fill(note, isTooShort ? t("search_hint") : errorText(error));
    }
  }

  /** @param {Ticket[]} tickets */
  function showResults(tickets) {
    keyed(list, tickets, (ticket) => ticket.id, () => h("li", {}), (item, ticket) => fill(item,
      h("button", { type: "button", class: "result", click: () => select(ticket), "aria-pressed": String(ticket.id === selected?.id) },
        h("span", { class: "name" }, ticket.holder_name ?? t("no_name")),
        h("span", { class: "faint" }, [ticket.order_ref, ticket.ticket_class, masked(ticket.code)].filter(Boolean).join(" · ")),
        statusBadge(ticket.status))));
  }

  /** @param {Ticket} ticket */
  async function select(ticket) {
    selected = ticket;
    for (const one of list.children) {
      one.querySelector("button")?.setAttribute("aria-pressed", String(one instanceof HTMLElement && one.dataset.key === ticket.id));
    }
    await reload();
    details.querySelector("h2")?.focus();
    details.scrollIntoView({ block: "nearest" });
  }

  /** Reads the chosen ticket with all that happened to it. */
  async function reload() {
    const ticket = selected;
    if (!ticket) return;
    try {
      const path = `/events/${watch.id}/tickets/${ticket.code}`;
      const [shown, scans, audit] = await Promise.all([
        get(path),
        all(`/scanning/scans?event_id=${watch.id}&ticket_code=${ticket.code}`),
        isAdmin ? all(`/audit?subject=ticket:${ticket.id}`) : [],
      ]);
      if (selected?.id !== ticket.id) return;
      const known = { ...ticket, ...shown };
      selected = known;
      showTicket(known, scans.reverse(), audit);
    } catch (error) {
      fill(details, h("p", { class: "error", role: "alert" }, errorText(error)));
    }
  }

  /**
   * @param {Ticket} ticket
   * @param {Scan[]} scans oldest first
   * @param {AuditEntry[]} audit
   */
  function showTicket(ticket, scans, audit) {
    const facts = h("dl", { class: "facts" });
    for (const [name, value] of /** @type {[string, string | null][]} */ ([
      [t("order"), ticket.order_ref ?? null], [t("class"), ticket.ticket_class], [t("seat"), seatText(ticket.seat)],
      [t("code"), masked(ticket.code)], [t("entries"), `${number(ticket.scan_count)} / ${number(ticket.entry_limit)}`],
      [t("gates_of_ticket"), ticket.gate_ids?.map((id) => watch.gates.get(id)?.name ?? id).join(", ") ?? null],
      [t("valid_from"), ticket.valid_from && time(ticket.valid_from, "day")],
      [t("valid_until"), ticket.valid_until && time(ticket.valid_until, "day")], [t("note"), ticket.note],
    ])) {
      if (value) facts.append(h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    }
    const isBlocked = !["active", "scanned"].includes(ticket.status);
    const actions = h("div", { class: "actions start" },
      button(t("check_in"), () => checkIn(ticket), { class: "primary" }),
      isAdmin && !isBlocked && button(t("void"), () => setStatus(ticket, "voided"), { class: "danger" }),
      isAdmin && !isBlocked && button(t("refund"), () => setStatus(ticket, "refunded"), { class: "danger" }),
      isAdmin && isBlocked && button(t("reactivate"), () => setStatus(ticket, "active")));
    fill(details, section(ticket.holder_name ?? t("no_name"), { class: "card" },
      statusBadge(ticket.status), facts, actions), section(t("history"), {}, history(scans, audit)));
    details.querySelector("h2")?.setAttribute("tabindex", "-1");
  }

  /**
   * @param {Scan[]} scans
   * @param {AuditEntry[]} audit
   */
  function history(scans, audit) {
    const open = openAdmissions(scans);
    const entries = [
      ...scans.map((scan) => ({ at: scan.scanned_at, item: scanItem(scan, open.has(scan.scan_id)) })),
      ...audit.filter((entry) => entry.changes.status).map((entry) => ({ at: entry.at, item: statusItem(entry) })),
    ].sort((a, b) => b.at.localeCompare(a.at));
    if (!entries.length) return h("p", { class: "empty" }, t("no_history"));
    return h("ol", { class: "history" }, ...entries.map(({ item }) => item));
  }

  /**
   * @param {Scan} scan
   * @param {boolean} isOpen
   */
  function scanItem(scan, isOpen) {
    const gate = watch.gates.get(scan.gate_id)?.name ?? "";
    const by = scan.source === "desk" ? t("by_hand") : watch.devices.get(scan.device_id ?? "")?.name ?? "";
    const reason = scan.override?.reason ?? (scan.source === "desk" ? scan.metadata?.reason : null);
    return h("li", { class: scan.undone ? "undone" : null },
      h("time", { datetime: scan.scanned_at }, time(scan.scanned_at, "full")), resultBadge(scan),
      h("span", {}, [gate, by].filter(Boolean).join(" · "), scan.source === "sync" ? ` · ${t("offline_scan")}` : ""),
      reason ? h("span", { class: "reason" }, `“${reason}”`) : null,
      scan.undone ? h("span", { class: "reason" }, t("undone"), scan.undone.reason ? `: “${scan.undone.reason}”` : "") : null,
      isOpen ? button(t("undo"), () => undo(scan), { class: "small" }) : null);
  }

  /** @param {AuditEntry} entry */
  function statusItem(entry) {
    const [before, after] = entry.changes.status ?? ["", ""];
    return h("li", {}, h("time", { datetime: entry.at }, time(entry.at, "full")),
      badge("plain", `${word("ticket", String(before))} → ${word("ticket", String(after))}`, "✎"),
      h("span", {}, entry.actor.name ?? word("actor", entry.actor.kind)));
  }

  /** @param {Ticket} ticket */
  async function checkIn(ticket) {
    // A repetition after a lost answer is the same scan.
    const scan_id = newId();
    const gates = [...watch.gates.values()].sort((a, b) => b.status.localeCompare(a.status) || a.name.localeCompare(b.name));
    /** @type {any} */
    let answer = null;
    await ask({
      title: t("ask_check_in", { name: ticket.holder_name ?? masked(ticket.code) }),
      fields: [
        { name: "gate_id", label: t("gate"), type: "select", options: gates.map(({ id, name, status }) =>
          ({ value: id, text: status === "open" ? name : `${name} (${t("gate_closed")})` })) },
        { name: "direction", label: t("direction"), type: "select", options: [
          { value: "entry", text: t("entry") }, { value: "exit", text: t("exit") }] },
        { name: "reason", label: t("reason"), required: true, maxLength: 500 },
      ],
      action: t("check_in"),
      run: async ({ gate_id, direction, reason }) => {
        answer = await change("POST", `/scanning/events/${watch.id}/tickets/${ticket.code}/check-in`, { gate_id, reason, scan_id, direction });
      },
    });
    if (!answer) return;
    await reload();
    showDecision(answer);
  }

  /** @param {any} answer */
  function showDecision(answer) {
    const isValid = answer.result === "valid";
    details.prepend(h("p", { class: `decision ${isValid ? "good" : "bad"}`, role: "alert" },
      h("span", { "aria-hidden": "true" }, isValid ? "✓ " : "✕ "), word("reason", answer.reason)));
  }

  /** @param {Scan} scan */
  async function undo(scan) {
    const done = await ask({
      title: t("ask_undo"), text: `${time(scan.scanned_at, "full")} · ${watch.gates.get(scan.gate_id)?.name ?? ""}`,
      fields: [{ name: "reason", label: t("reason"), required: true, maxLength: 500 }],
      action: t("undo"), isDanger: true,
      run: ({ reason }) => change("POST", `/scanning/scans/${scan.scan_id}/undo`, { reason }),
    });
    if (done) await finish(t("was_undone"));
  }

  /**
   * @param {Ticket} ticket
   * @param {string} status
   */
  async function setStatus(ticket, status) {
    const done = await ask({
      title: t(status === "active" ? "ask_reactivate" : status === "voided" ? "ask_void" : "ask_refund", { name: ticket.holder_name ?? masked(ticket.code) }),
      text: t(status === "active" ? "ask_reactivate_text" : "ask_void_text"),
      action: t(status === "active" ? "reactivate" : status === "voided" ? "void" : "refund"),
      isDanger: status !== "active",
      run: () => change("PATCH", `/events/${watch.id}/tickets/${ticket.code}`, { status }),
    });
    if (done) await finish(t("status_was_changed"));
  }

  /** @param {string} text */
  async function finish(text) {
    say(text);
    await Promise.all([reload(), input.value.trim() ? search() : null]);
    details.querySelector("h2")?.focus();
  }

  return { element, show: () => {}, leave: () => searching?.abort() };
}
