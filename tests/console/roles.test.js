// Controls exist only where the role of the key allows the change. The server refuses the others anyway.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { sample } from "./sample.js";
import { until } from "./server.js";

let browser;
let data;

before(async () => {
  browser = await launch();
  data = await sample({ people: 80 });
});
after(async () => {
  await browser?.close();
  await data?.server.stop();
});

/** The names of the buttons in the view. */
async function buttons(tab) {
  const names = await tab.page.locator("main button").allInnerTexts();
  return new Set(names.map((name) => name.trim()));
}

async function has(tab, ...names) {
  for (const name of names) await until(async () => (await buttons(tab)).has(name), `the button ${name}`);
}

async function hasNot(tab, ...names) {
  const found = await buttons(tab);
  for (const name of names) assert.ok(!found.has(name), `${name} must not be here`);
}

/** Searches a guest who is inside. */
async function openGuest(tab) {
  await tab.find(data.general[5]);
  await tab.page.locator(".history li").first().waitFor();
}

for (const role of ["owner", "admin"]) {
  test(`the role ${role} has every control`, async () => {
    const tab = await Tab.open(browser, data.server, { client: await data.server.member(role), fragment: `#gates/${data.event.id}` });
    await tab.ready("gates");
    await has(tab, "Close", "Capacity");
    await tab.show("devices", data.event.id);
    await has(tab, "Add a device", "Pair", "Revoke");
    await tab.show("guests", data.event.id);
    await openGuest(tab);
    await has(tab, "Check in", "Void", "Refund", "Undo");
    await tab.show("conflicts", data.event.id);
    await tab.page.locator(".conflicts li", { hasText: "In quarantine" }).waitFor();
    await has(tab, "Accept");
    await tab.show("signals", data.event.id);
    await has(tab, "Change");
    await tab.close();
  });
}

test("staff may check in and undo, and change nothing else", async () => {
  const tab = await Tab.open(browser, data.server, { client: await data.server.member("staff"), fragment: `#gates/${data.event.id}` });
  await tab.ready("gates");
  await hasNot(tab, "Close", "Open", "Capacity");
  await tab.show("devices", data.event.id);
  await hasNot(tab, "Add a device", "Pair", "Revoke");
  await tab.show("guests", data.event.id);
  await openGuest(tab);
  await has(tab, "Check in", "Undo");
  await hasNot(tab, "Void", "Refund", "Reactivate");
  await tab.show("conflicts", data.event.id);
  await tab.page.locator(".conflicts li", { hasText: "In quarantine" }).waitFor();
  await hasNot(tab, "Accept");
  await tab.show("signals", data.event.id);
  await hasNot(tab, "Change");
  await tab.close();
});

test("a viewer sees no guests, no signals, no code and no control", async () => {
  const { server, event } = data;
  const tab = await Tab.open(browser, server, { client: await server.member("viewer"), fragment: `#guests/${event.id}` });
  await tab.ready("live");
  assert.equal(new URL(tab.page.url()).hash, `#live/${event.id}`, "guests is another view for a viewer");
  const links = await tab.page.locator("nav a").evaluateAll((all) => all.map((link) => link.getAttribute("href").slice(1).split("/")[0]));
  assert.deepEqual(links, ["live", "devices", "gates", "conflicts", "report"]);
  assert.match(await tab.text(".scans"), /Admitted/);
  assert.ok(!(await tab.text(".scans")).includes("…"), "no part of a code");
  for (const view of ["devices", "gates", "conflicts", "wall"]) {
    await tab.show(view, event.id);
    await hasNot(tab, "Close", "Open", "Capacity", "Add a device", "Pair", "Revoke", "Accept", "Change");
  }
  const forbidden = [];
  tab.page.on("response", (response) => {
    if (response.status() === 403) forbidden.push(response.url());
  });
  await tab.show("live", event.id);
  await tab.page.reload();
  await tab.ready("live");
  assert.deepEqual(forbidden, [], "the page asks for nothing that a viewer may not see");
  await tab.close();
});
