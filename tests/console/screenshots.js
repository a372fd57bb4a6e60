// Makes the screenshots of docs/screenshots: each view on a phone and a desktop, the wall at 1080p and 4K, light and dark.

import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, Tab, VIEWS } from "./page.js";
import { sample } from "./sample.js";

const folder = process.env.VOELGOED_SCAN_SCREENSHOTS ?? "";
let browser;
let data;

before(async () => {
  browser = await launch();
  data = await sample();
});
after(async () => {
  await browser?.close();
  await data?.server.stop();
});

/** Shows a view with something to see in it. */
async function prepare(tab, view) {
  await tab.show(view, data.event.id);
  if (view === "guests") {
    await tab.page.fill("#search", "sample");
    await tab.page.locator(".result", { hasText: `…${data.general[1].slice(-4)}` }).click();
    await tab.page.locator(".history li").first().waitFor();
    await tab.page.evaluate(() => {
      const focused = document.activeElement;
      if (focused instanceof HTMLElement) focused.blur();
      window.scrollTo(0, 0);
    });
  }
  await tab.page.evaluate(() => document.fonts.ready);
}

for (const theme of ["light", "dark"]) {
  for (const size of ["phone", "desktop", "hd", "wall"]) {
    const isWall = size === "hd" || size === "wall";
    test(`${size}, ${theme}`, async () => {
      const tab = await Tab.open(browser, data.server, { client: data.server.owner, fragment: `#live/${data.event.id}`, size, theme });
      await tab.ready("live");
      for (const view of isWall ? ["wall"] : VIEWS.filter((one) => one !== "wall" || size === "phone")) {
        await prepare(tab, view);
        await tab.page.screenshot({ path: join(folder, `${view}-${size}-${theme}.jpg`), type: "jpeg", quality: size === "wall" ? 40 : 70, scale: "css" });
      }
      await tab.close();
    });
  }
}
