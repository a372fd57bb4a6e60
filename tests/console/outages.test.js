// What the page shows while the server is away, and how it comes back.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { sample } from "./sample.js";
import { scan, until } from "./server.js";

let browser;
let data;
let tab;

before(async () => {
  browser = await launch();
  data = await sample({ people: 80 });
  tab = await Tab.open(browser, data.server, { client: data.server.owner, fragment: `#live/${data.event.id}` });
});
after(async () => {
  await tab?.close();
  await browser?.close();
  await data?.server.stop();
});

/** The opacity at which the figures are shown. */
const opacity = () => tab.page.locator("#main").evaluate((main) => Number(getComputedStyle(main).opacity));

test("figures are dimmed and dated while the server is away, and are right after its restart", async () => {
  const { server, devices, fresh } = data;
  await tab.ready("live");
  const before = Number(await tab.text("#inside"));
  assert.equal(await opacity(), 1);
  await server.kill();
  await tab.page.locator("#stale", { hasText: /^as of \d\d:\d\d:\d\d$/ }).waitFor();
  const dated = await tab.text("#stale");
  assert.ok(await opacity() < 0.8);
  assert.match(await tab.text("#connection"), /No connection/);
  assert.equal(await tab.text("#inside"), String(before), "the last figures stay");
  // The date is that of the figures, not of the clock.
  await tab.page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  assert.equal(await tab.text("#stale"), dated);
  await server.restart();
  await scan(devices.main, fresh.splice(0, 1)[0]);
  await tab.page.locator("#inside", { hasText: String(before + 1) }).waitFor();
  await until(async () => (await opacity()) === 1, "figures that are not dimmed");
  assert.equal(await tab.text("#stale"), "");
  assert.equal(await tab.text("#connection"), "Connected");
});

test("each view is dimmed and dated, also the wall", async () => {
  const { server, event } = data;
  for (const view of ["devices", "gates", "wall"]) {
    await tab.show(view, event.id);
    await server.kill();
    await tab.page.locator("#stale", { hasText: "as of" }).waitFor();
    assert.ok(await opacity() < 0.8, view);
    await server.restart();
    await until(async () => (await opacity()) === 1, `${view} as before`);
  }
  await tab.show("live", event.id);
});

test("a page that is loaded while the server is away signs in once it is back", async () => {
  const { server, event } = data;
  await tab.show("gates", event.id);
  // The page itself comes from the cache of the browser only where the server says so; so it is away after the load.
  await tab.page.route("**/api/v1/organization", (route) => route.abort());
  await tab.page.reload();
  await tab.page.locator("[role=alert]", { hasText: "cannot be reached" }).waitFor();
  await tab.page.unroute("**/api/v1/organization");
  await tab.ready("gates");
  assert.equal(new URL(tab.page.url()).hash, `#gates/${event.id}`);
  await server.owner.get("/organization");
});

test("a change that fails is said in its question, and succeeds when it is tried again", async () => {
  const { server, event } = data;
  await tab.show("gates", event.id);
  await tab.page.click("[aria-label='Close: North gate']");
  await server.kill();
  await tab.page.click("dialog button.danger");
  await tab.page.locator("dialog .error", { hasText: "cannot be reached" }).waitFor();
  await server.restart();
  await tab.page.click("dialog button.danger");
  await tab.page.locator("tbody tr:has-text('North gate') .badge", { hasText: "Closed" }).waitFor();
  const gates = await server.owner.get(`/events/${event.id}/gates`);
  assert.equal(gates.data.find((gate) => gate.name === "North gate").status, "closed");
});
