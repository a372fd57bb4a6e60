// Signing in by an API key, what is refused, and where the key is kept.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { Server, sampleEvent } from "./server.js";

let browser;
let server;
let event;

before(async () => {
  browser = await launch();
  server = await Server.start();
  event = await sampleEvent(server, { people: 20 });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function enter(tab, key) {
  await tab.page.fill("#key", key);
  await tab.page.click("button[type=submit]");
}

test("a key signs in, stays in the session storage alone, and is forgotten on signing out", async () => {
  const tab = await Tab.open(browser, server);
  await enter(tab, `  ${server.owner.token} `);
  await tab.ready("live");
  assert.equal(new URL(tab.page.url()).hash, `#live/${event.id}`);
  const kept = await tab.page.evaluate(() => ({ session: { ...sessionStorage }, local: JSON.stringify({ ...localStorage }), cookies: document.cookie }));
  assert.deepEqual(Object.values(kept.session), [server.owner.token]);
  assert.ok(!kept.local.includes("vgk_") && kept.cookies === "", JSON.stringify(kept));
  assert.ok(!tab.requests.some((url) => url.includes("vgk_")), "the key is in a URL");
  const other = await tab.context.newPage();
  await other.goto(server.url);
  await other.locator("#key").waitFor();
  await tab.page.click("summary");
  await tab.page.click("text=Sign out");
  await tab.page.locator("#key").waitFor();
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0);
  await tab.page.reload();
  await tab.page.locator("#key").waitFor();
  await tab.close();
});

test("a device token is refused with what to use instead, and is sent nowhere", async () => {
  const { token } = await server.owner.send("POST", "/scanning/devices", { device_id: "refused-1", name: "Refused" });
  const tab = await Tab.open(browser, server);
  await tab.page.locator("#key").waitFor();
  const before = tab.requests.length;
  await enter(tab, token);
  await tab.page.locator("#sign-in-error", { hasText: "vgk_" }).waitFor();
  const message = await tab.text("#sign-in-error");
  assert.match(message, /token of a device.*API key.*voelgoed-scan apikey create/);
  assert.deepEqual(tab.requests.slice(before), []);
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0);
  await tab.close();
});

test("an unknown key and a key without a view are refused with the reason", async () => {
  const tab = await Tab.open(browser, server);
  await enter(tab, `vgk_${"A".repeat(43)}`);
  await tab.page.locator("#sign-in-error", { hasText: "not valid" }).waitFor();
  await enter(tab, "nonsense");
  await tab.page.locator("#sign-in-error", { hasText: "not valid" }).waitFor();
  await enter(tab, (await server.member("scanner_only")).token);
  await tab.page.locator("#sign-in-error", { hasText: "role viewer, staff, admin or owner" }).waitFor();
  await tab.close();
});

test("a key that is deleted meanwhile signs out", async () => {
  const member = await server.member("staff");
  const tab = await Tab.open(browser, server, { client: member, fragment: `#gates/${event.id}` });
  await tab.ready("gates");
  const { api_key: key } = await member.get("/organization");
  await server.owner.send("DELETE", `/api-keys/${key.id}`);
  await tab.page.locator("#sign-in-error", { hasText: "not valid" }).waitFor();
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0);
  await tab.close();
});

test("the form names what is wrong where the server cannot be reached", async () => {
  const own = await Server.start();
  await sampleEvent(own, { people: 5 });
  const tab = await Tab.open(browser, own);
  await tab.page.locator("#key").waitFor();
  await own.kill();
  await enter(tab, own.owner.token);
  await tab.page.locator("[role=alert]", { hasText: "cannot be reached" }).waitFor();
  await own.restart();
  await tab.ready("live");
  await tab.close();
  await own.stop();
});
