// The language of the page: texts, numbers and times.

import { ApiError } from "./api.js";
import { DIALOGS } from "./text-dialogs.js";
import { PAGE } from "./text-page.js";
import { WORDS } from "./text-words.js";

const TEXTS = { ...PAGE, ...DIALOGS, ...WORDS };

/** @typedef {keyof typeof TEXTS} Key */

/** The languages with their own names. */
export const LANGUAGES = /** @type {const} */ ([
  ["en", "English"], ["af", "Afrikaans"], ["nl", "Nederlands"], ["de", "Deutsch"], ["fr", "Français"], ["es", "Español"],
  ["pt", "Português"],
]);

const STORAGE_KEY = "voelgoed-scan.language";

/** The place of the language in the rows of texts. */
let place = 0;
let language = "en";
let zone = "UTC";
/** @type {Map<string, Intl.DateTimeFormat>} */
let formats = new Map();
/** @type {Intl.NumberFormat} */
let numbers = new Intl.NumberFormat(language);

/**
 * The first of these languages that the page has; English where it has none.
 * @param {readonly string[]} wanted
 */
export function firstKnown(wanted) {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split("-")[0];
    const found = LANGUAGES.find(([code]) => code === base);
    if (found) return found[0];
  }
  return "en";
}

export function currentLanguage() {
  return language;
}

/** Uses the language that was chosen, else that of the browser. */
export function useLanguage() {
  let chosen = null;
  try {
    chosen = localStorage.getItem(STORAGE_KEY);
  } catch {
    // The browser keeps nothing: its own languages count.
  }
  language = firstKnown([...(chosen ? [chosen] : []), ...navigator.languages]);
  place = LANGUAGES.findIndex(([code]) => code === language);
  formats = new Map();
  numbers = new Intl.NumberFormat(language);
  document.documentElement.lang = language;
}

/** @param {string} code */
export function chooseLanguage(code) {
  try {
    localStorage.setItem(STORAGE_KEY, code);
  } catch {
    // It lasts until the page is loaded again.
  }
}

/** @param {string} name the time zone of the event, an IANA name */
export function setZone(name) {
  if (name === zone) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name;
  } catch {
    zone = "UTC";
  }
  formats = new Map();
}

export function currentZone() {
  return zone;
}

/**
 * A text of the page, with its parameters put in.
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return (TEXTS[key][place] ?? "").replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * The text for a word of the API, such as a status; the word itself where the page does not know it.
 * @param {string} group
 * @param {string} word
 */
export function word(group, word) {
  const key = /** @type {Key} */ (`${group}_${word}`);
  return TEXTS[key]?.[place] ?? word.replaceAll("_", " ");
}

/** @param {number} value */
export function number(value) {
  return numbers.format(value);
}

/** @param {number} share */
export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const FORMS = {
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  second: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  date: { weekday: "short", day: "numeric", month: "short" },
  day: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  full: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};

/**
 * A time in the time zone of the event.
 * @param {number | string} at milliseconds, or a text of the API
 * @param {"minute" | "second" | "date" | "day" | "full"} [form]
 */
export function time(at, form = "second") {
  let format = formats.get(form);
  if (!format) {
    format = new Intl.DateTimeFormat(language, { ...FORMS[form], timeZone: zone });
    formats.set(form, format);
  }
  return format.format(typeof at === "string" ? Date.parse(at) : at);
}

/**
 * How long ago something was.
 * @param {number} millis
 */
export function ago(millis) {
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
  const seconds = Math.max(0, Math.round(millis / 1000));
  if (seconds < 90) return relative.format(-seconds, "second");
  if (seconds < 5400) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 129600) return relative.format(-Math.round(seconds / 3600), "hour");
  return relative.format(-Math.round(seconds / 86400), "day");
}

/**
 * A length of time.
 * @param {number} seconds
 */
export function duration(seconds) {
  /** @type {[number, string][]} */
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"]];
  const [size, unit] = units.find(([one]) => seconds >= one * 1.5) ?? [1, "second"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(Math.round(seconds / size));
}

/**
 * A ticket code that admits nobody who reads it on the screen.
 * @param {string | null} code
 */
export function masked(code) {
  return code ? `…${code.slice(-4)}` : "";
}

/**
 * Why a call failed, for the person in front of the page.
 * @param {unknown} error
 */
export function errorText(error) {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 0) return t("error_network");
  if (error.status === 401) return t("error_key");
  if (error.status === 403) return t("error_forbidden");
  if (error.status === 404) return t("error_missing");
  if (error.status === 429 || error.status >= 500) return t("error_server");
  return `${t("error_refused")} ${error.message}`;
}
