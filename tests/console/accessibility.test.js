// axe-core finds nothing, and nothing is wider than the screen: on every view, at four sizes, in two themes and two languages.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, SIZES, Tab, VIEWS } from "./page.js";
import { sample } from "./sample.js";

let browser;
let data;

before(async () => {
  browser = await launch();
  data = await sample({ people: 120 });
});
after(async () => {
  await browser?.close();
  await data?.server.stop();
});

/** Fails with all that is wrong at once. */
async function check(tab, what) {
  const found = await tab.violations();
  assert.deepEqual(found, [], what);
  assert.ok((await tab.overflow()) <= 0, `${what}: wider than the screen`);
}

for (const language of ["en", "de"]) {
  for (const theme of ["light", "dark"]) {
    test(`every view is accessible in ${language}, ${theme}, at four sizes`, async () => {
      const { server, event } = data;
      const tab = await Tab.open(browser, server, { client: server.owner, fragment: `#live/${event.id}`, language, theme });
      await tab.ready("live");
      for (const view of VIEWS) {
        await tab.show(view, event.id);
        if (view === "guests") {
          await tab.page.fill("#search", "lindiwe");
          await tab.page.locator(".result").first().click();
          await tab.page.locator(".history").waitFor();
        }
        for (const [size, [width, height]] of Object.entries(SIZES)) {
          await tab.page.setViewportSize({ width, height });
          await check(tab, `${view} ${size} ${language} ${theme}`);
        }
      }
      await tab.close();
    });
  }
}

test("the form, the questions, the pairing and the menu are accessible", async () => {
  const { server, event } = data;
  for (const theme of ["light", "dark"]) {
    const tab = await Tab.open(browser, server, { size: "phone", theme });
    await tab.page.locator("#key").waitFor();
    await check(tab, `form ${theme}`);
    await tab.page.fill("#key", "vgd_x");
    await tab.page.click("button[type=submit]");
    await tab.page.locator("#sign-in-error:not(:empty)").waitFor();
    await check(tab, `error ${theme}`);
    await tab.page.fill("#key", server.owner.token);
    await tab.page.click("button[type=submit]");
    await tab.ready("live");
    await tab.page.click("summary");
    await check(tab, `menu ${theme}`);
    await tab.show("gates", event.id);
    await tab.page.click("[aria-label='Capacity: Main gate']");
    await tab.page.locator("dialog").waitFor();
    await check(tab, `question ${theme}`);
    await tab.page.keyboard.press("Escape");
    await tab.show("devices", event.id);
    await tab.page.click("[aria-label='Pair: Spare phone']");
    await tab.page.click("dialog button.primary");
    await tab.page.locator("img.qr").waitFor();
    await check(tab, `pairing ${theme}`);
    await tab.close();
  }
});
