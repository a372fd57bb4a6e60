// What is changed on the page counts at the door and stands in the audit log.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { sample } from "./sample.js";
import { Client, scan, until } from "./server.js";

let browser;
let data;
let tab;

before(async () => {
  browser = await launch();
  data = await sample({ people: 80 });
  tab = await Tab.open(browser, data.server, { client: data.server.owner, fragment: `#gates/${data.event.id}` });
  await tab.ready("gates");
});
after(async () => {
  await tab?.close();
  await browser?.close();
  await data?.server.stop();
});

/** The newest entry of the audit log with this action about a subject. Some are entered up to five seconds later. */
function audited(action, id) {
  return until(async () => {
    const log = await data.server.owner.get(`/audit?action=${action}`);
    return log.data.find((entry) => entry.subject.id === id);
  }, `${action} in the audit log`);
}

/** Answers the question that the page asks, which must be the only one. */
async function answer(fields = {}) {
  await tab.page.locator("dialog").waitFor();
  for (const [name, value] of Object.entries(fields)) {
    const field = tab.page.locator(`dialog [name=${name}]`);
    if ((await field.evaluate((element) => element.tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
  await tab.page.click("dialog button[type=submit]");
}

test("a gate that is closed admits nobody until it is opened", async () => {
  const { event, devices, fresh } = data;
  const [main] = event.gates;
  await tab.page.click("[aria-label='Close: Main gate']");
  await answer();
  await tab.page.locator("tbody tr:has-text('Main gate') .badge", { hasText: "Closed" }).waitFor();
  const code = fresh.splice(0, 1)[0];
  assert.equal((await scan(devices.main, code)).reason, "gate_closed");
  const closed = await audited("gate.update", main.id);
  assert.deepEqual(closed.changes.status, ["open", "closed"]);
  assert.equal(closed.actor.kind, "api_key");
  await tab.page.click("[aria-label='Open: Main gate']");
  await answer();
  await tab.page.locator("tbody tr:has-text('Main gate') .badge", { hasText: "Open" }).waitFor();
  assert.equal((await scan(devices.main, code)).reason, "admitted");
});

test("a capacity holds at the door", async () => {
  const { event, devices, fresh } = data;
  const [, north] = event.gates;
  const { inside } = (await data.server.owner.get(`/scanning/events/${event.id}/occupancy`)).gates.find((gate) => gate.id === north.id);
  await tab.page.click("[aria-label='Capacity: North gate']");
  await answer({ capacity: String(inside) });
  await until(async () => (await tab.text("tbody tr:has-text('North gate') td:nth-child(3)")).endsWith(`/ ${inside}`), "the capacity");
  const code = fresh.splice(0, 1)[0];
  assert.equal((await scan(devices.north, code)).reason, "gate_full");
  assert.equal((await audited("gate.update", north.id)).changes.capacity[1], inside);
  await tab.page.click("[aria-label='Capacity: North gate']");
  await answer({ capacity: "" });
  await until(async () => !(await tab.text("tbody tr:has-text('North gate') td:nth-child(3)")).includes("/"), "no capacity");
  assert.equal((await scan(devices.north, code)).reason, "admitted");
});

test("a device is added, paired by what the page shows, and revoked", async () => {
  const { server, event } = data;
  await tab.show("devices", event.id);
  await tab.page.click("text=Add a device");
  await answer({ name: "Side door phone", device_id: "side-1" });
  await answer();
  await tab.page.locator("img.qr").waitFor();
  const shown = await tab.page.locator("img.qr").evaluate((image) => ({ source: image.src.slice(0, 19), width: image.naturalWidth }));
  assert.ok(shown.source === "data:image/svg+xml," && shown.width > 100, JSON.stringify(shown));
  const code = await tab.text(".pairing-code code");
  const enrolled = await server.anonymous.send("POST", "/scanning/enroll", { code, app: { name: "Voelgoed Scan", version: "1.4.0", platform: "android" } });
  await tab.page.locator(".pairing", { hasText: "Side door phone is paired" }).waitFor();
  await tab.page.click("dialog button.primary");
  const phone = new Client(server, enrolled.token);
  await phone.send("POST", "/scanning/sessions", { event_id: event.id, gate_id: event.gates[0].id });
  assert.equal((await scan(phone, data.fresh.splice(0, 1)[0])).result, "valid");
  const device = enrolled.device.id;
  await audited("device.create", device);
  await audited("device.begin_enrollment", device);
  await audited("device.enroll", device);
  await tab.page.locator("tbody tr", { hasText: "Side door phone" }).waitFor();
  await tab.page.click("[aria-label='Revoke: Side door phone']");
  await answer();
  await tab.page.locator("tbody tr", { hasText: "Side door phone" }).waitFor({ state: "detached" });
  const refused = await phone.call("POST", "/scanning/scan", { ticket_code: data.fresh[0] });
  assert.deepEqual([refused.status, refused.body.code], [401, "device_inactive"]);
  await audited("device.revoke", device);
});

test("a conflict is accepted, and its guest counts as inside", async () => {
  const { server, event, devices, quarantined } = data;
  const before = (await server.owner.get(`/scanning/events/${event.id}/occupancy`)).event.inside;
  const { data: conflicts } = await server.owner.get(`/scanning/conflicts?event_id=${event.id}&kind=unverified`);
  await tab.show("conflicts", event.id);
  await tab.page.click("button:has-text('Accept')");
  await answer({ reason: "Sample: the phone was found again" });
  await until(async () => (await tab.page.locator(".conflicts > li", { hasText: "In quarantine" }).count()) === 0, "no scan in quarantine");
  const after = await server.owner.get(`/scanning/events/${event.id}/occupancy`);
  assert.equal(after.event.inside, before + 1);
  assert.equal((await scan(devices.main, quarantined)).reason, "already_scanned");
  await audited("scan.accept", conflicts[0].other_scan_id);
});

test("a ticket is voided and reactivated", async () => {
  const { server, event, devices, fresh } = data;
  const code = fresh.splice(0, 1)[0];
  const ticket = await server.owner.get(`/events/${event.id}/tickets/${code}`);
  await tab.show("guests", event.id);
  await tab.find(code);
  await tab.page.click(".ticket button:has-text('Void')");
  await answer();
  await tab.page.locator(".ticket .badge", { hasText: "Void" }).first().waitFor();
  assert.equal((await scan(devices.main, code)).reason, "ticket_voided");
  assert.deepEqual((await audited("ticket.update", ticket.id)).changes.status, ["active", "voided"]);
  await tab.page.click("text=Reactivate");
  await answer();
  await tab.page.locator(".history li", { hasText: "Void → Not in yet" }).waitFor();
  assert.equal((await scan(devices.main, code)).reason, "admitted");
});

test("an entry is undone, and the guest may enter again", async () => {
  const { event, devices, fresh } = data;
  const code = fresh.splice(0, 1)[0];
  const { scan_id } = await scan(devices.main, code);
  await tab.show("guests", event.id);
  await tab.find(code);
  await tab.page.click(".history button:has-text('Undo')");
  await answer({ reason: "Sample: wrong person" });
  await tab.page.locator(".history li.undone", { hasText: "Sample: wrong person" }).waitFor();
  await audited("scan.undo", scan_id);
  assert.equal((await scan(devices.main, code)).reason, "admitted");
});

test("a guest is checked in by hand once, although the first answer is lost", async () => {
  const { server, event, devices, fresh } = data;
  const code = fresh.splice(0, 1)[0];
  const before = (await server.owner.get(`/scanning/events/${event.id}/occupancy`)).event.inside;
  await tab.show("guests", event.id);
  await tab.find(code);
  await tab.page.click(".ticket button:has-text('Check in')");
  // The server records the first call, and the page never hears of it.
  let lost = 0;
  await tab.page.route("**/check-in", async (route) => {
    lost += 1;
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await answer({ gate_id: event.gates[0].id, reason: "Sample: the phone of the guest is flat" });
  await tab.page.locator("dialog .error", { hasText: "cannot be reached" }).waitFor();
  assert.equal(lost, 1);
  await tab.page.click("dialog button[type=submit]");
  await tab.page.locator(".decision.good", { hasText: "Admitted" }).waitFor();
  const after = await server.owner.get(`/scanning/events/${event.id}/occupancy`);
  assert.equal(after.event.inside, before + 1, "one person");
  const { data: scans } = await server.owner.get(`/scanning/scans?event_id=${event.id}&ticket_code=${code}`);
  assert.deepEqual(scans.map(({ source, reason, device_id }) => [source, reason, device_id]), [["desk", "admitted", null]]);
  assert.equal((await scan(devices.main, code)).reason, "already_scanned");
  await audited("scan.check_in", scans[0].scan_id);
  await until(async () => (await tab.text(".history")).includes("by hand"), "the check-in in the history");
  assert.ok((await tab.text(".history")).includes("Sample: the phone of the guest is flat"));
});

test("a check-in that the rules deny shows the reason", async () => {
  const { event, general } = data;
  await tab.show("guests", event.id);
  await tab.find(general[5]);
  await tab.page.click(".ticket button:has-text('Check in')");
  await answer({ gate_id: event.gates[1].id, reason: "Sample: says that they lost the wristband" });
  await tab.page.locator(".decision.bad", { hasText: "Already scanned" }).waitFor();
});

test("a rule of signals is changed", async () => {
  const { server, event } = data;
  await tab.show("signals", event.id);
  await tab.page.click("[aria-label='Change: Nearly full']");
  await answer({ limit: "80" });
  await until(async () => (await tab.text("tbody tr:has-text('Nearly full')")).includes("80 %"), "the new limit");
  assert.equal((await server.owner.get("/organization/signals")).occupancy_90.limit, 80);
});
