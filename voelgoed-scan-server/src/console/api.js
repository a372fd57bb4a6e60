// Calls of the API with the key of this tab.
//
// Invariant: the key is in the session storage of the tab alone, and goes to this server alone.

/**
 * @typedef {"owner" | "admin" | "staff" | "viewer" | "scanner_only"} Role
 * @typedef {{ id: string, name: string, api_key: { id: string, name: string, role: Role } }} Organization
 * @typedef {{ id: string, name: string, status: string, time_zone: string, capacity: number | null, starts_at: string | null,
 *   ends_at: string | null, doors_open_at: string | null, doors_close_at: string | null, reentry: string,
 *   rehearsal?: boolean }} EventFacts
 * @typedef {{ id: string, name: string, code: string | null, status: "open" | "closed", capacity: number | null,
 *   ticket_classes: string[] | null }} Gate
 * @typedef {{ id: string, device_id: string, name: string, status: "active" | "inactive", last_seen_at: string | null,
 *   settings: Record<string, unknown>, scope: { event_ids: string[] | null, gate_ids: string[] | null },
 *   app: { name: string, version: string, platform: string } | null, battery: number | null, waiting: number | null,
 *   inserted_at: string, updated_at: string }} Device
 * @typedef {{ id: string, device_id: string, event_id: string, gate_id: string, status: string, started_at: string,
 *   scan_count: number }} Session
 * @typedef {{ inside: number, entries: number, exits: number, capacity: number | null }} Count
 * @typedef {{ event: Count, gates: (Count & { id: string, name: string })[], results: Record<string, number>,
 *   scans_per_minute: number }} Occupancy
 * @typedef {{ id: string, name: string, results: Record<string, number>, entries: number[], exits: number[],
 *   denials: number[] }} GateActivity
 * @typedef {{ from: string, to: string, gates: GateActivity[] }} Activity
 * @typedef {{ scan_id: string, ticket_id: string | null, ticket_code: string | null, event_id: string, gate_id: string,
 *   device_id: string | null, api_key_id?: string | null, result: string, reason: string,
 *   would_have_been: { reason: string } | null, direction: "entry" | "exit", scanned_at: string, received_at: string,
 *   source: string, override: { reason: string | null } | null, metadata: Record<string, any> | null,
 *   undone: { reason: string | null, at?: string } | null, local_result: string | null }} Scan
 * @typedef {{ id: string, kind: string, event_id: string | null, gate_id: string | null, device_id: string | null,
 *   ticket_id: string | null, opened_at: string, closed_at: string | null, details: Record<string, any> }} Signal
 * @typedef {{ kind: string, winner_scan_id: string | null, other_scan_id: string, ticket_code: string | null,
 *   gates: { id: string, name: string }[], devices: { id: string, name: string }[], times: string[] }} Conflict
 * @typedef {{ id: string, code: string, status: string, ticket_class: string | null, gate_ids: string[] | null,
 *   seat: { block?: string | null, row?: string | null, number?: string | null } | null, valid_from: string | null,
 *   valid_until: string | null, entry_limit: number, scan_count: number, note: string | null, holder_name?: string | null,
 *   order_ref?: string | null, inserted_at: string, updated_at: string }} Ticket
 */

const STORAGE_KEY = "voelgoed-scan.key";

/** How far the clocks may differ before the times of the server are used, in milliseconds. Its header has whole seconds. */
const CLOCK_TOLERANCE_MS = 1500;

/** How long a server may take to answer. */
const ANSWER_MS = 15000;

let key = sessionStorage.getItem(STORAGE_KEY) ?? "";
let clockOffset = 0;

/** Why a call failed. `status` is 0 where the server was not reached. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} detail
   */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  /** Whether the same call will fail again. */
  get isPermanent() {
    return this.status >= 400 && this.status < 500 && this.status !== 429;
  }
}

export function hasKey() {
  return key !== "";
}

/** @param {string} text */
export function keepKey(text) {
  key = text;
  sessionStorage.setItem(STORAGE_KEY, text);
}

export function forgetKey() {
  key = "";
  sessionStorage.removeItem(STORAGE_KEY);
}

/** The time by the clock of the server, in milliseconds. */
export function now() {
  return Date.now() + clockOffset;
}

/** @param {Response} response */
function readClock(response) {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const offset = date + 500 - Date.now();
  clockOffset = Math.abs(offset) > CLOCK_TOLERANCE_MS ? offset : 0;
}

/**
 * Calls the API, and throws an {@link ApiError} unless the answer is a success. A stream has no timeout.
 * @param {string} path
 * @param {{ method?: string, body?: unknown, signal?: AbortSignal, headers?: Record<string, string>, isStream?: boolean }} [options]
 */
export async function request(path, { method = "GET", body, signal: wanted, headers = {}, isStream } = {}) {
  /** @type {Response} */
  let response;
  const signals = [...(wanted ? [wanted] : []), ...(isStream ? [] : [AbortSignal.timeout(ANSWER_MS)])];
  const signal = AbortSignal.any(signals);
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      signal,
      cache: "no-store",
      credentials: "omit",
      headers: { Authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (wanted?.aborted) throw error;
    throw new ApiError(0, "network", String(error));
  }
  readClock(response);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const fields = (problem.errors ?? []).map((/** @type {any} */ one) => `${one.pointer}: ${one.message}`).join("; ");
  throw new ApiError(response.status, problem.code ?? "", fields || problem.detail || `HTTP ${response.status}`);
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

/**
 * Sends a change and returns the answer; null where it has no body.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function change(method, path, body) {
  const response = await request(path, { method, body });
  return response.status === 204 ? null : response.json();
}

/**
 * Reads all pages of a list, at most `most` rows.
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @param {number} [most]
 * @returns {Promise<any[]>}
 */
export async function all(path, signal, most = 20000) {
  const rows = [];
  let cursor = "";
  do {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}limit=500${cursor}`, signal);
    rows.push(...page.data);
    cursor = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
  } while (cursor && rows.length < most);
  return rows;
}

/** A new UUID. `crypto.randomUUID` exists only where the page came over TLS. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
