// The languages of the page: each is complete, and the page uses the one that the person wants.

import { strict as assert } from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, Tab } from "./page.js";
import { Server, sampleEvent } from "./server.js";

const folder = process.env.VOELGOED_SCAN_CONSOLE ?? "";
const LANGUAGES = ["en", "af", "nl", "de", "fr", "es", "pt"];

let browser;
let server;
let event;
let texts;

before(async () => {
  browser = await launch();
  server = await Server.start();
  event = await sampleEvent(server, { people: 20 });
  texts = {};
  for (const [file, name] of [["text-page.js", "PAGE"], ["text-dialogs.js", "DIALOGS"], ["text-words.js", "WORDS"]]) {
    const source = readFileSync(join(folder, file), "utf8");
    const module = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    for (const key of Object.keys(module[name])) assert.ok(!(key in texts), `${key} is in two files`);
    Object.assign(texts, module[name]);
  }
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("every language has every text, with the same parameters", () => {
  assert.ok(Object.keys(texts).length > 200);
  for (const [key, row] of Object.entries(texts)) {
    assert.equal(row.length, LANGUAGES.length, key);
    const parameters = (text) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
    for (const [index, text] of row.entries()) {
      assert.ok(text.trim() === text && text !== "", `${key} in ${LANGUAGES[index]}`);
      assert.deepEqual(parameters(text), parameters(row[0]), `${key} in ${LANGUAGES[index]}`);
      assert.ok(!text.includes('"'), `${key} in ${LANGUAGES[index]}: typographic quotes`);
    }
  }
});

test("every text is used, and every text that is used exists", () => {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js") && !name.startsWith("text-"));
  const source = scripts.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const groups = [...source.matchAll(/\bword\("(\w+)"/g)].map(([, group]) => group);
  for (const key of Object.keys(texts)) {
    const isUsed = source.includes(`"${key}"`) || groups.some((group) => key.startsWith(`${group}_`));
    assert.ok(isUsed, `${key} is not used`);
  }
});

test("every word of the API has a text", async () => {
  const { components } = await (await fetch(`${server.url}/openapi.json`)).json();
  for (const [schema, group] of [
    ["Reason", "reason"], ["EventStatus", "event"], ["TicketStatus", "ticket"], ["ConflictKind", "conflict"], ["ConflictKind", "conflict_text"],
    ["SignalKind", "signal"], ["SignalKind", "signal_text"], ["AuditActorKind", "actor"],
  ]) {
    const words = components.schemas[schema].enum ?? components.schemas[schema].oneOf.map((one) => one.const);
    assert.ok(words.length > 2, schema);
    for (const word of words) assert.ok(`${group}_${word}` in texts, `${group}_${word}`);
  }
});

test("the page speaks the first language of the browser that it knows", async () => {
  for (const [language, used] of [["af-ZA", "af"], ["pt-BR", "pt"], ["nl", "nl"], ["it-IT", "en"]]) {
    const tab = await Tab.open(browser, server, { client: server.owner, fragment: `#gates/${event.id}`, language });
    await tab.ready("gates");
    assert.equal(await tab.page.evaluate(() => document.documentElement.lang), used);
    assert.equal(await tab.text("h1"), texts.view_gates[LANGUAGES.indexOf(used)]);
    await tab.close();
  }
});

test("each language can be chosen, and stays chosen", async () => {
  const tab = await Tab.open(browser, server, { client: server.owner, fragment: `#live/${event.id}` });
  await tab.ready("live");
  for (const [index, code] of LANGUAGES.entries()) {
    if (!(await tab.page.locator("details.menu").getAttribute("open") !== null)) await tab.page.click("summary");
    await tab.page.selectOption("select.language", code);
    await tab.page.locator("nav a", { hasText: texts.view_devices[index] }).waitFor();
    assert.equal(await tab.page.evaluate(() => document.documentElement.lang), code);
    assert.equal(await tab.text(".inside h2"), texts.inside[index]);
  }
  await tab.page.reload();
  await tab.ready("live");
  assert.equal(await tab.page.evaluate(() => document.documentElement.lang), "pt");
  await tab.close();
});
