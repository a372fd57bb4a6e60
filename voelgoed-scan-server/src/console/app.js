// The page: signing in, choosing an event and a view, and what surrounds the views.
//
// Invariant: the fragment names the view and the event (`#live/EVENT`), so that a reload and a link show the same.

import { all, ApiError, forgetKey, get, hasKey, keepKey, now, request } from "./api.js";
import { conflictsView } from "./conflicts.js";
import { devicesView } from "./devices.js";
import { button, fill, h } from "./dom.js";
import { EventWatch } from "./event.js";
import { gatesView } from "./gates.js";
import { guestsView } from "./guests.js";
import { liveView } from "./live.js";
import { reportView } from "./report.js";
import { signalsView } from "./signals.js";
import { chooseLanguage, currentLanguage, errorText, LANGUAGES, setZone, t, time, useLanguage, word } from "./text.js";
import { wallView } from "./wall.js";

/**
 * What a view gets.
 * @typedef {{
 *   watch: EventWatch,
 *   organization: import("./api.js").Organization,
 *   isAdmin: boolean,
 *   isStaff: boolean,
 *   go: (view: string) => void,
 * }} Context
 *
 * A view: its element, how it shows what is known, and what to do when another one takes its place.
 * @typedef {{ element: HTMLElement, show: () => void, leave?: () => void }} View
 */

/** @type {[name: string, make: (context: Context) => View, needsStaff: boolean][]} */
const VIEWS = [
  ["live", liveView, false],
  ["guests", guestsView, true],
  ["devices", devicesView, false],
  ["gates", gatesView, false],
  ["conflicts", conflictsView, false],
  ["signals", signalsView, true],
  ["report", reportView, false],
  ["wall", wallView, false],
];

const EVENTS_EVERY_MS = 30000;
const THEME_KEY = "voelgoed-scan.theme";
const STATUS_ORDER = ["live", "published", "postponed", "draft", "ended", "cancelled", "archived"];

/** @type {import("./api.js").Organization | null} */
let organization = null;
/** @type {import("./api.js").EventFacts[]} */
let events = [];
/** @type {EventWatch | null} */
let watch = null;
/** @type {View | null} */
let view = null;
let viewName = "";
/** What gets the focus after the next view is shown; else its heading does. */
let focusNext = "";

/** @param {string} name */
const title = (name) => word("view", name);

/** The view and the event that the fragment names. */
function fragment() {
  const [name = "", event = ""] = location.hash.replace(/^#\/?/, "").split("/");
  return { name, event: decodeURIComponent(event) };
}

/**
 * @param {string} name
 * @param {string} event
 */
const link = (name, event) => `#${name}/${event}`;

/** @param {string} theme */
function useTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function storedTheme() {
  try {
    return localStorage.getItem(THEME_KEY) ?? "";
  } catch {
    return "";
  }
}

/**
 * Leaves the organization: forgets the key and shows the form.
 * @param {string} [message]
 */
function signOut(message = "") {
  leaveEvent();
  forgetKey();
  organization = null;
  events = [];
  showSignIn(message);
}

function leaveEvent() {
  view?.leave?.();
  view = null;
  viewName = "";
  watch?.stop();
  watch = null;
}

/** @param {string} message */
function showSignIn(message) {
  document.title = "voelgoed-scan";
  document.body.className = "";
  const error = h("p", { class: "error", role: "alert", id: "sign-in-error" }, message);
  const input = h("input", {
    id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, placeholder: "vgk_…",
    "aria-describedby": "key-hint sign-in-error",
  });
  const submit = h("button", { type: "submit", class: "primary" }, t("sign_in"));
  const form = h("form", { class: "card sign-in" },
    h("h1", {}, h("img", { src: "/console/icon.svg", alt: "", width: 36, height: 36 }), "voelgoed-scan"),
    h("div", { class: "field" },
      h("label", { for: "key" }, t("api_key")), input, h("span", { class: "hint", id: "key-hint" }, t("api_key_hint"))),
    error, submit, languageChoice());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text.startsWith("vgd_")) {
      error.textContent = t("device_token_refused");
      return;
    }
    submit.disabled = true;
    error.textContent = "";
    keepKey(text);
    await signIn();
    submit.disabled = false;
  });
  fill(document.body, h("main", { class: "center", id: "main" }, form));
  input.focus();
}

async function signIn() {
  try {
    organization = await get("/organization");
    events = await all("/events");
  } catch (error) {
    const failure = error instanceof ApiError ? error : new ApiError(0, "", String(error));
    if (failure.isPermanent) signOut(failure.status === 403 ? t("key_may_nothing") : t("error_key"));
    else showRetry(failure);
    return;
  }
  sortEvents();
  route();
}

function sortEvents() {
  events.sort((a, b) => STATUS_ORDER.indexOf(a.status) - STATUS_ORDER.indexOf(b.status) || a.name.localeCompare(b.name));
}

/** Reads the list of events again, which others may have changed. */
async function readEvents() {
  if (!organization) return;
  const found = await all("/events").catch(() => null);
  if (!found || !organization) return;
  events = found;
  sortEvents();
  const choice = document.getElementById("event");
  if (!watch) route();
  else if (choice && choice !== document.activeElement) fill(choice, ...eventOptions(watch.id));
}

/**
 * The copies of rehearsals are left out, other than a chosen one.
 * @param {string} chosen
 */
function eventOptions(chosen) {
  const shown = events.filter((one) => !one.rehearsal || one.id === chosen);
  return shown.map((one) => h("option", { value: one.id, selected: one.id === chosen },
    one.status === "live" ? one.name : `${one.name} (${word("event", one.status)})`));
}

/**
 * The server could not be reached as the page was loaded: the key stays, and the page tries again.
 * @param {ApiError} failure
 */
function showRetry(failure) {
  document.body.className = "";
  let timer = 0;
  const again = () => {
    clearTimeout(timer);
    signIn();
  };
  fill(document.body, h("main", { class: "center", id: "main" }, h("div", { class: "card sign-in" },
    h("h1", {}, "voelgoed-scan"), h("p", { role: "alert" }, errorText(failure)),
    h("div", { class: "actions" }, button(t("sign_out"), () => {
      clearTimeout(timer);
      signOut();
    }), button(t("try_again"), again, { class: "primary" })))));
  timer = window.setTimeout(again, 3000);
}

/** Shows the view and the event of the fragment. */
function route() {
  if (!organization) return;
  const wanted = fragment();
  const known = VIEWS.find(([name]) => name === wanted.name);
  const name = known && (!known[2] || isStaff()) ? known[0] : "live";
  const event = events.find((one) => one.id === wanted.event) ?? events.find((one) => !one.rehearsal);
  if (!event) {
    leaveEvent();
    showFrame("", "");
    fill(mainElement(), h("p", { class: "empty" }, t("no_event")));
    return;
  }
  if (wanted.name !== name || wanted.event !== event.id) {
    history.replaceState(null, "", link(name, event.id));
  }
  if (watch?.id !== event.id) {
    leaveEvent();
    setZone(event.time_zone);
    watch = new EventWatch(event.id, organization.api_key.role, { changed: showAll, refused });
    watch.event = event;
    watch.start();
  }
  if (viewName !== name) showView(name, event.id);
}

function isStaff() {
  return organization?.api_key.role !== "viewer";
}

/**
 * @param {string} name
 * @param {string} event
 */
function showView(name, event) {
  const isFirst = viewName === "";
  view?.leave?.();
  viewName = name;
  showFrame(name, event);
  const make = VIEWS.find(([one]) => one === name)?.[1];
  if (!make || !watch || !organization) return;
  const { role } = organization.api_key;
  view = make({
    watch, organization, isAdmin: role === "owner" || role === "admin", isStaff: isStaff(),
    go: (other) => {
      location.hash = link(other, event);
    },
  });
  fill(mainElement(), view.element);
  showAll();
  const next = focusNext ? document.getElementById(focusNext) : isFirst ? null : mainElement().querySelector("h1");
  focusNext = "";
  next?.focus();
  window.scrollTo(0, 0);
}

function mainElement() {
  const main = document.getElementById("main");
  if (!main) throw new Error("the frame has a main element");
  return main;
}

/** Makes the header and the navigation around a view; the wall has neither. */
function showFrame(/** @type {string} */ name, /** @type {string} */ event) {
  document.body.className = name === "wall" ? "walled" : "framed";
  const main = h("main", { id: "main", tabindex: "-1" });
  const stale = h("p", { id: "stale", class: "stale-note", role: "status" });
  const said = h("div", { id: "said", role: "status" });
  if (name === "wall") {
    fill(document.body, stale, main, said);
    return;
  }
  const choice = h("select", { id: "event", "aria-label": t("event") }, ...eventOptions(event));
  choice.addEventListener("change", () => {
    focusNext = "event";
    location.hash = link(viewName || "live", choice.value);
  });
  const tabs = VIEWS.filter(([one, , needsStaff]) => one !== "wall" && (!needsStaff || isStaff())).map(([one]) =>
    h("li", {}, h("a", { href: link(one, event), "aria-current": one === name ? "page" : null }, title(one),
      h("span", { class: "count", id: `count-${one}` }))));
  fill(document.body,
    h("a", { class: "skip", href: "#main", click: skipToMain }, t("skip")),
    h("header", {},
      h("span", { class: "brand" }, h("img", { src: "/console/icon.svg", alt: "", width: 28, height: 28 }),
        h("span", { class: "organization" }, organization?.name ?? "")),
      choice, h("span", { id: "connection" }), menu()),
    h("nav", { "aria-label": t("views") }, h("ul", {}, ...tabs)),
    h("div", { class: "content" }, stale, main), said);
}

function skipToMain(/** @type {Event} */ event) {
  event.preventDefault();
  mainElement().focus();
}

function languageChoice() {
  const choice = h("select", { "aria-label": t("language"), class: "language" }, ...LANGUAGES.map(([code, name]) =>
    h("option", { value: code, lang: code, selected: code === currentLanguage() }, name)));
  choice.addEventListener("change", () => {
    chooseLanguage(choice.value);
    useLanguage();
    viewName = "";
    if (organization) route();
    else showSignIn("");
    document.querySelector("select.language")?.closest("details")?.setAttribute("open", "");
    /** @type {HTMLElement | null} */ (document.querySelector("select.language"))?.focus();
  });
  return choice;
}

/** What is needed rarely: language, colours, signing out. */
function menu() {
  const theme = h("select", { "aria-label": t("theme") }, ...["auto", "light", "dark"].map((one) =>
    h("option", { value: one, selected: one === (storedTheme() || "auto") }, word("theme", one))));
  theme.addEventListener("change", () => {
    try {
      localStorage.setItem(THEME_KEY, theme.value);
    } catch {
      // It lasts until the page is loaded again.
    }
    useTheme(theme.value);
  });
  const element = h("details", { class: "menu" },
    h("summary", {}, t("menu")),
    h("div", { class: "panel" },
      h("p", {}, `${organization?.api_key.name ?? ""} · ${word("role", organization?.api_key.role ?? "")}`),
      languageChoice(), theme,
      h("a", { href: "/docs" }, "/docs"), h("p", { class: "hint" }, `voelgoed-scan ${document.body.dataset.version ?? ""}`),
      button(t("sign_out"), () => signOut())));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    element.open = false;
    element.querySelector("summary")?.focus();
  });
  return element;
}

/** @param {ApiError} error */
function refused(error) {
  if (error.status === 401) signOut(t("error_key"));
  else if (error.status === 404) {
    events = events.filter((one) => one.id !== watch?.id);
    leaveEvent();
    history.replaceState(null, "", location.pathname);
    route();
  } else {
    // The stream refused, but the figures are read all the same.
    showAll();
  }
}

/** Shows all that is known: the state of the connection, the counts at the tabs, the view. */
function showAll() {
  if (!watch) return;
  watch.tick();
  if (watch.event) setZone(watch.event.time_zone);
  document.title = `${watch.event?.name ?? ""} · ${title(viewName)} · voelgoed-scan`;
  const { isStale, asOf } = watch;
  document.body.classList.toggle("stale", isStale && asOf > 0);
  const note = document.getElementById("stale");
  if (note) fill(note, isStale && asOf > 0 ? t("as_of", { time: time(asOf) }) : "");
  const connection = document.getElementById("connection");
  if (connection) {
    connection.className = isStale ? (asOf ? "down" : "") : "up";
    fill(connection, isStale ? (asOf ? t("offline") : t("connecting")) : t("connected"));
  }
  showCount("conflicts", watch.conflicts);
  showCount("signals", watch.openSignals.length);
  view?.show();
}

/**
 * @param {string} name
 * @param {number} value
 */
function showCount(name, value) {
  const place = document.getElementById(`count-${name}`);
  if (place) fill(place, value ? String(value) : "");
}

/** Asks whether the key still works after the page was asleep. */
function wake() {
  if (document.visibilityState !== "visible" || !watch || now() - watch.asOf < 20000) return;
  request("/organization").then(() => watch?.readFacts(), (error) => {
    if (error instanceof ApiError && error.status === 401) refused(error);
  });
}

useTheme(storedTheme());
useLanguage();
window.addEventListener("hashchange", () => {
  if (location.hash !== "#main") route();
});
document.addEventListener("visibilitychange", wake);
setInterval(showAll, 1000);
setInterval(readEvents, EVENTS_EVERY_MS);
if (hasKey()) await signIn();
else showSignIn("");
