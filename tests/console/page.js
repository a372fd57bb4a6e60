// A browser with the console in it.

import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const SIZES = { phone: [360, 740], desktop: [1280, 800], hd: [1920, 1080], wall: [3840, 2160] };
export const VIEWS = ["live", "guests", "devices", "gates", "conflicts", "signals", "report", "wall"];

/** Starts Debian's Chromium. */
export function launch() {
  return chromium.launch({ executablePath: process.env.VOELGOED_SCAN_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
}

/** A tab, which fails the test that uses it if a script fails or the page calls another origin. */
export class Tab {
  /** Opens the console. With a client it is signed in as that. */
  static async open(browser, server, { client, fragment = "", size = "desktop", language = "en-ZA", theme = "light" } = {}) {
    const [width, height] = SIZES[size];
    const context = await browser.newContext({ viewport: { width, height }, locale: language, colorScheme: theme, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(30000);
    const tab = new Tab();
    Object.assign(tab, { context, page, server, problems: [], requests: [] });
    page.on("pageerror", (error) => tab.problems.push(`script: ${error.stack ?? error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      // The browser itself reports calls that fail, which tests provoke.
      if (message.type() === "error" && !text.startsWith("Failed to load resource")) tab.problems.push(`console: ${text}`);
    });
    page.on("request", (request) => tab.requests.push(request.url()));
    if (client) {
      await page.addInitScript((key) => {
        if (!window.name) sessionStorage.setItem("voelgoed-scan.key", key);
        window.name = "signed in";
      }, client.token);
    }
    await page.goto(`${server.url}/${fragment}`);
    return tab;
  }

  /** Shows a view of an event, and waits until it has what it shows. */
  async show(view, event) {
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, `${view}/${event}`);
    await this.ready(view);
  }

  /** Waits until a view has been read. */
  async ready(view) {
    const { page } = this;
    const body = page.locator(view === "wall" ? "body.walled" : "body.framed");
    await body.waitFor();
    if (view !== "wall") {
      await page.locator("#connection.up").waitFor();
      await page.locator(`nav a[aria-current=page][href^="#${view}/"]`).waitFor();
    }
    const shown = {
      live: ".gates tbody tr", guests: "#search", devices: "tbody tr", gates: "tbody tr", conflicts: ".conflicts li, .empty:not(:empty)",
      signals: "tbody tr", report: ".report table", wall: ".wall-gates li",
    };
    await page.locator(shown[view]).first().waitFor();
    if (view === "live" || view === "wall") await page.locator(".curve svg").waitFor();
  }

  /** Searches a ticket by its whole code, and chooses it. */
  async find(code) {
    await this.page.fill("#search", code);
    await this.page.locator(".result", { hasText: `…${code.slice(-4)}` }).click();
    await this.page.locator(".ticket dd", { hasText: `…${code.slice(-4)}` }).waitFor();
  }

  /** The text of an element, with single spaces. */
  async text(selector) {
    const text = await this.page.locator(selector).first().innerText();
    return text.replace(/\s+/g, " ").trim();
  }

  /** What axe-core finds. */
  async violations() {
    await this.page.evaluate(axe);
    const found = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
  }

  /** How many pixels the page is wider than the screen. */
  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  }

  /** Closes the tab, and checks what it did. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, []);
    const foreign = this.requests.filter((url) => !url.startsWith(`${this.server.url}/`) && !url.startsWith("data:"));
    assert.deepEqual(foreign, [], "requests to other origins");
  }
}
