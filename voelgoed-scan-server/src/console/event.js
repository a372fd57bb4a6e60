// What the page knows of the chosen event: read once, followed by the stream, and read again now and then.
//
// Invariants: the figures are those of `asOf`; `isStale` says that they may be outdated. The counts by minute come from the
// server; the scans of the stream are added until the next read.

import { all, ApiError, get, now } from "./api.js";
import { follow } from "./stream.js";

const MINUTE_MS = 60000;
/** How many minutes are kept: the three hours of the entry curve, and the rest of its first group. */
export const CURVE_MINUTES = 190;
const FACTS_EVERY_MS = 8000;
/** The server says something at least every 15 s. */
const SILENT_MS = 22000;
/** How many of the last minutes are read again each time. */
const TAIL_MINUTES = 4;
const KEPT_SCANS = 60;

/** @typedef {import("./api.js").Scan} Scan */

/** @param {Scan} scan */
export function isEntry(scan) {
  return scan.result === "valid" && scan.direction === "entry" && !scan.undone;
}

export class EventWatch {
  /**
   * @param {string} id
   * @param {import("./api.js").Role} role
   * @param {{ changed: () => void, refused: (error: ApiError) => void }} listener
   */
  constructor(id, role, listener) {
    this.id = id;
    this.role = role;
    this.listener = listener;
    this.abort = new AbortController();
    /** @type {import("./api.js").EventFacts | null} */
    this.event = null;
    /** @type {Map<string, import("./api.js").Gate>} */
    this.gates = new Map();
    /** @type {Map<string, import("./api.js").Device>} */
    this.devices = new Map();
    /** @type {import("./api.js").Session[]} */
    this.sessions = [];
    /** @type {import("./api.js").Occupancy | null} */
    this.occupancy = null;
    /** @type {import("./api.js").Activity | null} */
    this.activity = null;
    /** @type {Map<string, Scan>} */
    this.scans = new Map();
    /** @type {Map<string, import("./api.js").Signal>} */
    this.signals = new Map();
    /** The number of conflicts, as far as they were read. */
    this.conflicts = 0;
    /** When the figures were known to be right, in milliseconds; 0 before. */
    this.asOf = 0;
    this.isConnected = false;
    this.factsFailed = false;
    this.isFrameAsked = false;
    /** The reads under way. @type {Promise<unknown> | undefined} */
    this.activityRead = undefined;
    /** @type {Promise<unknown> | undefined} */
    this.factsRead = undefined;
    this.wantedMinutes = 0;
  }

  /** Whether the figures may be outdated. */
  get isStale() {
    return !this.isConnected || this.factsFailed || (this.asOf > 0 && now() - this.asOf > SILENT_MS);
  }

  get openSignals() {
    return [...this.signals.values()].filter((signal) => !signal.closed_at);
  }

  start() {
    const { signal } = this.abort;
    follow(this.id, {
      opened: (resumed) => this.opened(resumed),
      alive: () => this.alive(),
      event: (name, data) => this.received(name, data),
      closed: () => {
        this.isConnected = false;
        this.changed();
      },
      refused: (error) => this.listener.refused(error),
    }, signal);
    const timer = setInterval(() => this.readFacts(), FACTS_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  stop() {
    this.abort.abort();
  }

  /** Tells the view, at most once a frame. */
  changed() {
    if (this.isFrameAsked || this.abort.signal.aborted) return;
    this.isFrameAsked = true;
    requestAnimationFrame(() => {
      this.isFrameAsked = false;
      if (!this.abort.signal.aborted) this.listener.changed();
    });
  }

  alive() {
    this.isConnected = true;
    if (!this.factsFailed) this.asOf = now();
    this.changed();
  }

  /** @param {boolean} resumed */
  opened(resumed) {
    this.isConnected = true;
    if (!resumed) this.readScans();
    this.readActivity(CURVE_MINUTES);
    this.readFacts();
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  received(name, data) {
    if (name === "occupancy") this.occupancy = data;
    else if (name === "scan") this.count(data);
    else if (name === "signal") this.signals.set(data.id, data);
    else if (name === "reset") {
      this.scans.clear();
      this.readScans();
      this.readActivity(CURVE_MINUTES);
      this.readFacts();
    }
    this.changed();
  }

  /** @param {Scan} scan */
  count(scan) {
    const isNew = !this.scans.has(scan.scan_id);
    this.keep([scan]);
    const { activity } = this;
    if (!activity) return;
    const place = Math.floor((Date.parse(scan.scanned_at) - Date.parse(activity.from)) / MINUTE_MS);
    const gate = activity.gates.find((one) => one.id === scan.gate_id);
    if (!gate) return;
    if (!isNew || scan.undone || scan.source === "sync") {
      // It changes what was counted before, perhaps long ago.
      this.readActivity(CURVE_MINUTES);
      return;
    }
    while (gate.entries.length <= place && place < gate.entries.length + CURVE_MINUTES) this.beginMinute();
    const counts = scan.result !== "valid" ? gate.denials : scan.direction === "entry" ? gate.entries : gate.exits;
    if (counts[place] !== undefined) counts[place] += 1;
    gate.results[scan.result] = (gate.results[scan.result] ?? 0) + 1;
  }

  /** Moves the minutes on by one. */
  beginMinute() {
    const { activity } = this;
    if (!activity) return;
    for (const gate of activity.gates) for (const counts of [gate.entries, gate.exits, gate.denials]) counts.push(0);
    activity.to = new Date(Date.parse(activity.to) + MINUTE_MS).toISOString();
    if (Date.parse(activity.to) - Date.parse(activity.from) <= CURVE_MINUTES * MINUTE_MS) return;
    for (const gate of activity.gates) for (const counts of [gate.entries, gate.exits, gate.denials]) counts.shift();
    activity.from = new Date(Date.parse(activity.from) + MINUTE_MS).toISOString();
  }

  /** Begins the minutes that have come since the last read. */
  tick() {
    while (this.activity && Date.parse(this.activity.to) <= now()) this.beginMinute();
  }

  /**
   * Keeps scans of the last minute, and the latest ones.
   * @param {Scan[]} scans
   */
  keep(scans) {
    for (const scan of scans) this.scans.set(scan.scan_id, scan);
    if (this.scans.size <= KEPT_SCANS * 2) return;
    const since = new Date(now() - MINUTE_MS).toISOString();
    this.latest().forEach((scan, index) => {
      if (index >= KEPT_SCANS && scan.scanned_at < since) this.scans.delete(scan.scan_id);
    });
  }

  /** The scans that are kept, the newest first. */
  latest() {
    return [...this.scans.values()].sort((a, b) => b.scanned_at.localeCompare(a.scanned_at));
  }

  /**
   * Scans of the last minute: at a gate, or at all.
   * @param {string} [gate]
   */
  lastMinute(gate) {
    const since = now() - MINUTE_MS;
    let count = 0;
    for (const scan of this.scans.values()) {
      if (Date.parse(scan.scanned_at) >= since && (!gate || scan.gate_id === gate)) count += 1;
    }
    return count;
  }

  /**
   * Reads something, and tells the view. A failure leaves what is known.
   * @template T
   * @param {() => Promise<T>} read
   */
  async attempt(read) {
    try {
      await read();
      this.changed();
      return true;
    } catch (error) {
      if (this.abort.signal.aborted) return true;
      if (error instanceof ApiError && (error.status === 401 || error.status === 404)) this.listener.refused(error);
      return false;
    }
  }

  readScans() {
    return this.attempt(async () => {
      const since = new Date(now() - MINUTE_MS).toISOString();
      const path = `/scanning/scans?event_id=${this.id}`;
      const { signal } = this.abort;
      const [latest, minute] = await Promise.all([
        get(`${path}&limit=${KEPT_SCANS}`, signal),
        get(`${path}&limit=500&from=${since}`, signal),
      ]);
      this.keep([...latest.data, ...minute.data].filter((scan) => !this.scans.has(scan.scan_id)));
    });
  }

  /** @param {number} minutes */
  readActivity(minutes) {
    this.wantedMinutes = Math.max(minutes, this.wantedMinutes);
    this.activityRead ??= this.attempt(async () => {
      // Changes come in groups: an upload has many scans.
      await new Promise((done) => setTimeout(done, this.activity ? 500 : 0));
      const wanted = this.wantedMinutes;
      this.wantedMinutes = 0;
      const read = await get(`/scanning/events/${this.id}/activity?minutes=${wanted}`, this.abort.signal);
      this.activity = wanted < CURVE_MINUTES && this.activity ? merged(this.activity, read) : read;
    }).finally(() => {
      this.activityRead = undefined;
      // What changed during the read may be missing in it.
      if (this.wantedMinutes && !this.abort.signal.aborted) this.readActivity(this.wantedMinutes);
    });
    return this.activityRead;
  }

  /** Reads what the stream does not tell: the event, its gates, sessions, devices, signals and conflicts. */
  readFacts() {
    this.factsRead ??= this.attempt(async () => {
      const { signal } = this.abort;
      const [event, gates, sessions, devices, occupancy, conflicts] = await Promise.all([
        get(`/events/${this.id}`, signal),
        all(`/events/${this.id}/gates`, signal),
        all(`/scanning/sessions?event_id=${this.id}&status=active`, signal),
        all("/scanning/devices", signal),
        get(`/scanning/events/${this.id}/occupancy`, signal),
        get(`/scanning/conflicts?event_id=${this.id}&limit=100`, signal),
      ]);
      this.event = event;
      this.gates = new Map(gates.map((gate) => [gate.id, gate]));
      this.sessions = sessions;
      this.devices = new Map(devices.map((device) => [device.id, device]));
      this.occupancy = occupancy;
      this.conflicts = conflicts.data.length;
      if (this.role !== "viewer") {
        const open = await get(`/scanning/signals?event_id=${this.id}&open=true&limit=100`, signal);
        this.signals = new Map(open.data.map((/** @type {any} */ one) => [one.id, one]));
      }
      if (this.activity) this.readActivity(TAIL_MINUTES);
      if (this.isConnected) this.asOf = now();
    }).then((succeeded) => {
      this.factsFailed = !succeeded;
      this.factsRead = undefined;
      this.changed();
    });
    return this.factsRead;
  }
}

/**
 * The minutes of a long read with those of a later, shorter one.
 * @param {import("./api.js").Activity} long
 * @param {import("./api.js").Activity} short
 */
function merged(long, short) {
  const length = Math.round((Date.parse(short.to) - Date.parse(long.from)) / MINUTE_MS);
  const begin = Math.round((Date.parse(short.from) - Date.parse(long.from)) / MINUTE_MS);
  if (begin > (long.gates[0]?.entries.length ?? 0)) return long;
  const skip = Math.max(0, length - CURVE_MINUTES);
  /**
   * @param {number[]} before
   * @param {number[]} after
   */
  const join = (before, after) => [...before.slice(0, begin), ...after].slice(skip);
  return {
    from: new Date(Date.parse(long.from) + skip * MINUTE_MS).toISOString(),
    to: short.to,
    gates: short.gates.map((gate) => {
      const before = long.gates.find((one) => one.id === gate.id);
      const empty = new Array(begin).fill(0);
      return {
        ...gate,
        entries: join(before?.entries ?? empty, gate.entries),
        exits: join(before?.exits ?? empty, gate.exits),
        denials: join(before?.denials ?? empty, gate.denials),
      };
    }),
  };
}
