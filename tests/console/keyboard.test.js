// The keyboard alone suffices: signing in, moving between views, a change, leaving a question.

import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { sample } from "./sample.js";
import { until } from "./server.js";

let browser;
let data;
let tab;

before(async () => {
  browser = await launch();
  data = await sample({ people: 80 });
  tab = await Tab.open(browser, data.server);
});
after(async () => {
  await tab?.close();
  await browser?.close();
  await data?.server.stop();
});

const focused = () => tab.page.evaluate(() => {
  const element = document.activeElement;
  return element?.getAttribute("aria-label") ?? element?.textContent?.trim() ?? "";
});

/** Presses Tab until an element with this name has the focus, and checks that the focus can be seen. */
async function tabTo(name, key = "Tab") {
  const seen = [];
  for (let count = 0; count < 80; count += 1) {
    await tab.page.keyboard.press(key);
    const now = await focused();
    seen.push(now.slice(0, 30));
    if (now.startsWith(name)) {
      const style = await tab.page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return { outlineStyle, width: parseFloat(outlineWidth) };
      });
      assert.ok(style.outlineStyle !== "none" && style.width >= 2, `the focus on ${name} is not visible: ${JSON.stringify(style)}`);
      return;
    }
  }
  assert.fail(`${name} cannot be reached: ${seen.join(", ")}`);
}

test("the key is typed and entered", async () => {
  await tab.page.locator("#key:focus").waitFor();
  await tab.page.keyboard.type(data.server.owner.token);
  await tab.page.keyboard.press("Enter");
  await tab.ready("live");
});

test("the first stop skips to the content", async () => {
  await tabTo("Skip to the content");
  await tab.page.keyboard.press("Enter");
  assert.equal(await tab.page.evaluate(() => document.activeElement?.id), "main");
});

test("a view is chosen, and the focus is at its heading", async () => {
  await tabTo("Gates", "Shift+Tab");
  await tab.page.keyboard.press("Enter");
  await tab.ready("gates");
  assert.equal(await tab.page.evaluate(() => document.activeElement?.tagName), "H1");
});

test("Escape leaves a question without a change, and the focus returns", async () => {
  await tabTo("Close: North gate");
  await tab.page.keyboard.press("Enter");
  await tab.page.locator("dialog").waitFor();
  await tab.page.keyboard.press("Escape");
  await tab.page.locator("dialog").waitFor({ state: "detached" });
  await until(async () => (await focused()) === "Close: North gate", "the focus at the button");
  const gates = await data.server.owner.get(`/events/${data.event.id}/gates`);
  assert.ok(gates.data.every((gate) => gate.status === "open"));
});

test("a gate is closed and its capacity changed", async () => {
  await tab.page.keyboard.press("Enter");
  await tab.page.locator("dialog").waitFor();
  await tabTo("Close");
  await tab.page.keyboard.press("Enter");
  await tab.page.locator("tbody tr:has-text('North gate') .badge", { hasText: "Closed" }).waitFor();
  await until(async () => (await focused()) === "Open: North gate", "the focus at the same button");
  await tabTo("Capacity: North gate");
  await tab.page.keyboard.press("Enter");
  await tab.page.locator("dialog input").waitFor();
  await tab.page.locator("dialog input:focus").waitFor();
  await tab.page.keyboard.press("Control+A");
  await tab.page.keyboard.type("77");
  await tab.page.keyboard.press("Enter");
  await until(async () => (await tab.text("tbody tr:has-text('North gate')")).includes("/ 77"), "the new capacity");
  const gates = await data.server.owner.get(`/events/${data.event.id}/gates`);
  const north = gates.data.find((gate) => gate.name === "North gate");
  assert.deepEqual([north.status, north.capacity], ["closed", 77]);
});

test("a guest is found and chosen", async () => {
  await tabTo("Guests", "Shift+Tab");
  await tab.page.keyboard.press("Enter");
  await tab.ready("guests");
  for (let count = 0; count < 5 && !(await tab.page.locator("#search:focus").count()); count += 1) await tab.page.keyboard.press("Tab");
  await tab.page.keyboard.type(data.general[5]);
  await tab.page.locator(".result").first().waitFor();
  await tabTo("Thandi");
  await tab.page.keyboard.press("Enter");
  await tab.page.locator(".history li").first().waitFor();
  await tabTo("Undo");
});

test("the wall is left with Escape", async () => {
  await tab.show("wall", data.event.id);
  await tab.page.keyboard.press("Escape");
  await tab.ready("live");
});
