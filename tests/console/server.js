// A server of the tests on an SQLite file, its API, and a sample event.

import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const programs = process.env.VOELGOED_SCAN_PROGRAMS ?? "";

/** A client with a credential. */
export class Client {
  constructor(server, token) {
    this.server = server;
    this.token = token;
  }

  /** Calls the API; returns the status and the parsed body. */
  async call(method, path, body, type = "application/json") {
    const response = await fetch(`${this.server.url}/api/v1${path}`, {
      method,
      headers: { ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}), ...(body === undefined ? {} : { "Content-Type": type }) },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  /** Calls the API and returns the body of a success. */
  async send(method, path, body, type) {
    const answer = await this.call(method, path, body, type);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  get(path) {
    return this.send("GET", path);
  }
}

export class Server {
  /** Starts a server with a new organization. */
  static async start() {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), "voelgoed-scan-console-"));
    server.database = `sqlite://${server.folder}/gate.db`;
    const init = spawnSync(join(programs, "voelgoed-scan"), [
      "--quiet", "--output", "json", "init", "--database-url", server.database, "--organization", "Karoo Sample Events"]);
    if (init.status !== 0) throw new Error(`init: ${init.stderr}`);
    await server.run("127.0.0.1:0");
    server.owner = new Client(server, JSON.parse(init.stdout.toString()).api_key);
    server.anonymous = new Client(server, "");
    return server;
  }

  /** Runs the program, and waits until it says where it listens. */
  run(listen) {
    return new Promise((resolve, reject) => {
      this.process = spawn(join(programs, "voelgoed-scan-server"), [
        "--listen", listen, "--database-url", this.database, "--rate-limit", "0"], { stdio: ["ignore", "pipe", "pipe"] });
      let log = "";
      const read = (chunk) => {
        log += chunk;
        const found = /http:\/\/127[0-9.:]*/.exec(log);
        if (found) {
          this.url = found[0];
          resolve(undefined);
        }
      };
      this.process.stdout.on("data", read);
      this.process.stderr.on("data", read);
      this.process.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${log}`)));
    });
  }

  /** Ends the program as a power failure does. */
  async kill() {
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.kill("SIGKILL");
    await ended;
  }

  /** Starts the program again at the same address. */
  async restart() {
    await this.run(new URL(this.url).host);
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A client with a new API key of a role. */
  async member(role) {
    const { key } = await this.owner.send("POST", "/api-keys", { name: `The ${role}`, role });
    return new Client(this, key);
  }

  /** A new device with a session at a gate; without a gate only registered. */
  async device(event, gate, label, name = label) {
    const device = await this.owner.send("POST", "/scanning/devices", { device_id: label, name, settings: { can_override: true } });
    const client = new Client(this, device.token);
    client.id = device.id;
    if (gate) await client.send("POST", "/scanning/sessions", { event_id: event, gate_id: gate });
    return client;
  }
}

const NAMES = [
  "Lindiwe Sample", "Pieter Sample", "Annemarie Example", "Sipho Example", "Willem Sample", "Thandi Example", "Johanna Sample", "Kagiso Example",
  "Elsabe Sample", "Bongani Example", "Marlize Sample", "Themba Example",
];

/** A live event with gates, tickets and devices. `people` are its tickets. */
export async function sampleEvent(server, { name = "Karoo Autumn Festival", people = 40, gates = ["Main gate", "North gate", "VIP gate"] } = {}) {
  const { owner } = server;
  const id = randomUUID();
  await owner.send("PUT", `/events/${id}`, {
    name, status: "live", time_zone: "Africa/Johannesburg", capacity: people, allow_unsigned: true, ticket_classes: ["General", "VIP"],
  });
  const made = [];
  for (const [index, gate] of gates.entries()) {
    const gateId = randomUUID();
    await owner.send("PUT", `/events/${id}/gates/${gateId}`, {
      name: gate, code: `G${index + 1}`, status: "open", capacity: index === 0 ? null : Math.ceil(people / 3),
      ticket_classes: gate.startsWith("VIP") ? ["VIP"] : null,
    });
    made.push({ id: gateId, name: gate });
  }
  const codes = Array.from({ length: people }, (_, index) => String(index).padStart(4, "0").padStart(16, "KarooSampleAbCd"));
  const lines = codes.map((code, index) => JSON.stringify({
    code, holder_name: `${NAMES[index % NAMES.length]}${index < NAMES.length ? "" : ` ${index}`}`, order_ref: `ORD-${1000 + Math.floor(index / 2)}`,
    ticket_class: index % 8 === 7 ? "VIP" : "General", seat: index % 8 === 7 ? { block: "A", row: String(1 + Math.floor(index / 8)), number: String(index) } : null,
  }));
  await owner.send("POST", `/events/${id}/tickets`, `${lines.join("\n")}\n`, "application/x-ndjson");
  return { id, name, gates: made, codes };
}

/** Uploads past admissions: `at(index)` says how many minutes ago each was. */
export async function uploadPast(device, event, gate, codes, at) {
  const sent = Date.now();
  for (let from = 0; from < codes.length; from += 500) {
    const scans = codes.slice(from, from + 500).map((ticket_code, index) => ({
      scan_id: randomUUID(), ticket_code, gate_id: gate, event_id: event, scanned_at: new Date(sent - at(from + index) * 60000).toISOString(),
      local_result: "valid", local_reason: "admitted",
    }));
    await device.send("POST", "/scanning/sync", { batch_id: randomUUID(), sent_at: new Date(sent).toISOString(), scans });
  }
}

/** Scans a ticket as a device. */
export function scan(device, ticket_code, more = {}) {
  return device.send("POST", "/scanning/scan", { ticket_code, scan_id: randomUUID(), ...more });
}

/** Waits until the condition holds, and returns what it gave. Fails after a long time. */
export async function until(condition, what) {
  const begin = Date.now();
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() - begin > 30000) throw new Error(`not within 30 s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
