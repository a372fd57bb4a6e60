// Every view shows what the server knows, at one origin, and a reload shows the same.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab, VIEWS } from "./page.js";
import { sample } from "./sample.js";
import { scan, until } from "./server.js";

let browser;
let data;
let tab;

before(async () => {
  browser = await launch();
  data = await sample();
  tab = await Tab.open(browser, data.server, { client: data.server.owner, fragment: `#live/${data.event.id}` });
});
after(async () => {
  await tab?.close();
  await browser?.close();
  await data?.server.stop();
});

test("live shows the people inside against the capacity, the gates and the last scans", async () => {
  const { server, event } = data;
  await tab.ready("live");
  const { event: count, gates } = await server.owner.get(`/scanning/events/${event.id}/occupancy`);
  assert.equal(await tab.text("#inside"), String(count.inside));
  const capacity = await tab.text(".inside .of");
  assert.ok(capacity.includes(String(count.capacity)) && capacity.includes(String(count.capacity - count.inside)), capacity);
  for (const gate of gates) {
    const row = await tab.text(`.gates tbody tr:has-text("${gate.name}")`);
    assert.ok(row.includes("Open") && row.includes(String(gate.inside)), row);
  }
  const entries = await tab.page.locator(".curve svg").getAttribute("aria-label");
  assert.match(entries, /^Entries, last 3 hours: \d+\. peak \d+ at \d\d:\d\d$/);
  const scans = await tab.text(".scans");
  assert.ok(scans.includes("Already scanned") && scans.includes("Admitted"), scans);
  const html = await tab.page.content();
  for (const code of event.codes) assert.ok(!html.includes(code), "a complete code is shown");
});

test("the entry curve counts the entries of the last three hours", async () => {
  const label = await tab.page.locator(".curve svg").getAttribute("aria-label");
  const activity = await data.server.owner.get(`/scanning/events/${data.event.id}/activity?minutes=180`);
  const expected = activity.gates.flatMap((gate) => gate.entries).reduce((sum, count) => sum + count, 0);
  assert.ok(expected > 150, String(expected));
  assert.equal(Number(/: (\d+)\./.exec(label)?.[1]), expected, label);
});

test("a scan is seen within a second, and counted at its gate", async () => {
  const { server, event, devices, fresh } = data;
  const before = Number(await tab.text("#inside"));
  const begin = Date.now();
  const answer = await scan(devices.north, fresh.splice(0, 1)[0]);
  assert.equal(answer.result, "valid");
  await tab.page.locator("#inside", { hasText: String(before + 1) }).waitFor();
  const millis = Date.now() - begin;
  console.log(`    seen after ${millis} ms`);
  const first = await tab.text(".scans li");
  assert.ok(first.includes("Admitted") && first.includes("North gate") && first.includes(`…${answer.ticket.code.slice(-4)}`), first);
  const occupancy = await server.owner.get(`/scanning/events/${event.id}/occupancy`);
  assert.equal(occupancy.event.inside, before + 1);
});

test("an undone entry leaves the people inside and is marked", async () => {
  const { server, devices, fresh } = data;
  const before = Number(await tab.text("#inside"));
  const answer = await scan(devices.main, fresh.splice(0, 1)[0]);
  await tab.page.locator("#inside", { hasText: String(before + 1) }).waitFor();
  await server.owner.send("POST", `/scanning/scans/${answer.scan_id}/undo`, { reason: "Sample: wrong person" });
  await tab.page.locator("#inside", { hasText: String(before) }).waitFor();
  await until(async () => (await tab.text(".scans li")).includes("↶"), "the mark of the undo");
});

test("guests finds a ticket by its holder and shows its whole history", async () => {
  const { event, general } = data;
  await tab.show("guests", event.id);
  await tab.page.fill("#search", "lindiwe sample 24");
  await tab.page.locator(".result").first().click();
  await tab.page.locator(".history li").first().waitFor();
  assert.ok((await tab.text(".ticket")).includes("Lindiwe Sample 24"));
  await tab.page.fill("#search", "pieter");
  await tab.page.locator(".result", { hasText: `…${general[1].slice(-4)}` }).click();
  await until(async () => (await tab.page.locator(".history li").count()) === 2, "two scans");
  const history = await tab.text(".history");
  assert.ok(history.includes("Already scanned") && history.includes("Main gate 2") && history.includes("offline"), history);
  await tab.page.fill("#search", "zzzz");
  await tab.page.locator(".guests .empty", { hasText: "Nobody found" }).waitFor();
});

test("devices shows state, gate, battery and waiting scans", async () => {
  await tab.show("devices", data.event.id);
  const row = async (name) => tab.text(`tbody tr:has-text("${name}")`);
  assert.match(await row("Main gate 1"), /gate-main-1.*Online.*Main gate.*83%.*Voelgoed Scan.*1\.4\.0/);
  assert.match(await row("North gate 1"), /Online.*North gate.*41%.*140/);
  assert.match(await row("Spare phone"), /Never seen/);
  assert.equal(await tab.page.locator("tbody tr", { hasText: "Lost phone" }).count(), 0);
  await tab.page.check("#with-inactive");
  assert.match(await row("Lost phone"), /Inactive/);
  await tab.page.uncheck("#with-inactive");
  await tab.page.fill("#filter", "vip");
  assert.equal(await tab.page.locator("tbody tr").count(), 1);
});

test("gates shows capacity, entries and denials", async () => {
  await tab.show("gates", data.event.id);
  const occupancy = await data.server.owner.get(`/scanning/events/${data.event.id}/occupancy`);
  for (const gate of occupancy.gates) {
    const row = await tab.text(`tbody tr:has-text("${gate.name}")`);
    assert.ok(row.includes(String(gate.entries)) && row.includes(String(gate.capacity ?? "")), row);
  }
});

test("conflicts shows each conflict with its gates and devices", async () => {
  await tab.show("conflicts", data.event.id);
  const conflicts = await data.server.owner.get(`/scanning/conflicts?event_id=${data.event.id}`);
  await until(async () => (await tab.page.locator(".conflicts > li").count()) === conflicts.data.length, "all conflicts");
  assert.match(await tab.text(".conflicts > li:has-text('Entered twice')"), /Main gate.*North gate/);
  assert.match(await tab.text(".conflicts > li:has-text('In quarantine')"), /Lost phone/);
  assert.equal(await tab.text("#count-conflicts"), String(conflicts.data.length));
  await tab.page.selectOption("#kind", "unverified");
  await until(async () => (await tab.page.locator(".conflicts > li").count()) === 1, "the one in quarantine");
});

test("signals shows the open ones in a sentence, and the rules", async () => {
  await tab.show("signals", data.event.id);
  await tab.page.locator(".signal-list li").first().waitFor();
  const signal = await tab.text(".signal-list li:has-text('Scans wait for upload')");
  assert.match(signal, /North gate 1.*140 scans wait on the device/);
  assert.match(await tab.text("tbody tr:has-text('Nearly full')"), /On 90 %/);
});

test("report shows who came by class, where and when, and what staff changed by hand", async () => {
  const { server, event } = data;
  await tab.show("report", event.id);
  const report = await server.owner.get(`/scanning/events/${event.id}/report`);
  const facts = await tab.text(".report .facts");
  for (const value of [report.tickets.sold, report.tickets.no_shows, report.scans.entries, report.arrivals.peak.entries]) {
    assert.ok(facts.includes(String(value)), `${value} in ${facts}`);
  }
  for (const { class: name, sold, came, no_shows } of report.classes) {
    assert.equal(await tab.text(`.report tr:has-text("${name ?? "No class"}")`), `${name ?? "No class"} ${sold} ${came} ${no_shows}`);
  }
  const denials = await tab.text("section:has(> h2:text-is('Denials by reason'))");
  assert.match(denials, /Already scanned \d+/);
  assert.match(await tab.text("section:has(> h2:text-is('Overrides'))"), /Main gate · Main gate 1.*Already scanned.*wristband was torn/);
  assert.match(await tab.text("section:has(> h2:text-is('Undone entries'))"), /wrong person/);
  assert.match(await tab.text("section:has(> h2:text-is('Conflicts'))"), /Entered twice/);
});

test("the wall fills a screen of 1080p and of 4K without scrolling", async () => {
  await tab.show("wall", data.event.id);
  for (const [width, height] of [[1920, 1080], [3840, 2160]]) {
    await tab.page.setViewportSize({ width, height });
    const state = await until(() => tab.page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      const wall = document.querySelector(".wall")?.getBoundingClientRect();
      const inside = document.querySelector(".wall .huge");
      const drawn = document.querySelector(".wall .curve svg")?.getBoundingClientRect();
      if (!wall || !inside || !drawn || drawn.width < window.innerWidth * 0.5) return null;
      return { scrollWidth, scrollHeight, width: wall.width, height: wall.height, clipped: inside.scrollWidth > inside.clientWidth };
    }), "the curve of this size");
    assert.deepEqual(state, { scrollWidth: width, scrollHeight: height, width, height, clipped: false });
  }
  await tab.page.setViewportSize({ width: 1280, height: 800 });
  await tab.page.keyboard.press("Escape");
  await tab.ready("live");
});

test("a reload and a link keep the view and the event", async () => {
  const { server } = data;
  const other = await server.owner.send("PUT", `/events/${crypto.randomUUID()}`, { name: "Another sample", status: "published" });
  await tab.page.reload();
  await tab.ready("live");
  for (const view of VIEWS) {
    await tab.show(view, data.event.id);
    await tab.page.reload();
    await tab.ready(view);
    assert.equal(new URL(tab.page.url()).hash, `#${view}/${data.event.id}`);
  }
  await tab.show("live", data.event.id);
  await tab.page.selectOption("#event", other.id);
  await tab.page.locator("h1", { hasText: "Another sample" }).waitFor();
  assert.equal(new URL(tab.page.url()).hash, `#live/${other.id}`);
  await tab.page.goBack();
  await tab.page.locator("h1", { hasText: data.event.name }).waitFor();
});

test("the copy of a rehearsal is shown only by its address", async () => {
  const { server } = data;
  const copy = await server.owner.send("PUT", `/events/${crypto.randomUUID()}`, { name: "A rehearsal", status: "live", rehearsal: true });
  await tab.page.reload();
  await tab.ready("live");
  const options = () => tab.page.locator("#event option").allTextContents();
  assert.ok(!(await options()).includes("A rehearsal"));
  await tab.page.goto(`${server.url}/#live/${copy.id}`);
  await tab.page.locator("h1", { hasText: "A rehearsal" }).waitFor();
  assert.ok((await options()).includes("A rehearsal"));
});
