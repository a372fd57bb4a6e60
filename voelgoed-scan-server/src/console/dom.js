// Builds and updates elements. Nothing here parses HTML: every text becomes a text node.

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes
 */

/**
 * Sets attributes: functions become listeners, true an empty attribute; null, undefined and false remove it.
 * @param {Element} element
 * @param {Attributes} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  append(element, children);
  return element;
}

/**
 * Makes an SVG element.
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, attributes);
  append(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replaces the children of an element, unless it shows the same text already.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  const [only] = children;
  if (children.length === 1 && (typeof only === "string" || typeof only === "number")) {
    if (element.textContent !== String(only)) element.textContent = String(only);
    return;
  }
  element.replaceChildren();
  append(element, children);
}

/**
 * Keeps one child for each item: makes those that are new, fills all, removes the others. So the focus stays where it is.
 * @template Item
 * @param {Element} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => HTMLElement} make
 * @param {(element: HTMLElement, item: Item) => void} update
 */
export function keyed(parent, items, keyOf, make, update) {
  /** @type {Map<string, HTMLElement>} */
  const before = new Map();
  for (const child of parent.children) {
    if (child instanceof HTMLElement && child.dataset.key !== undefined) before.set(child.dataset.key, child);
  }
  /** @type {Element | null} */
  let last = null;
  for (const item of items) {
    const key = keyOf(item);
    let element = before.get(key);
    before.delete(key);
    if (!element) {
      element = make(item);
      element.dataset.key = key;
    }
    update(element, item);
    /** @type {Element | null} */
    const place = last ? last.nextElementSibling : parent.firstElementChild;
    if (element !== place) parent.insertBefore(element, place);
    last = element;
  }
  for (const element of before.values()) element.remove();
}

/**
 * A button.
 * @param {string} label
 * @param {() => void} press
 * @param {Attributes} [attributes]
 */
export function button(label, press, attributes = {}) {
  return h("button", { type: "button", click: press, ...attributes }, label);
}

/**
 * A state in a few words: a sign, a colour and a text, so that the colour is never needed.
 * @param {"good" | "warn" | "bad" | "plain"} tone
 * @param {string} text
 * @param {string} [sign]
 */
export function badge(tone, text, sign) {
  const signs = { good: "✓", warn: "!", bad: "✕", plain: "○" };
  return h("span", { class: `badge ${tone}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign ?? signs[tone]), text);
}

/**
 * A table whose rows become cards on a narrow screen.
 * @param {string} caption
 * @param {{ text: string, numeric?: boolean, hidden?: boolean }[]} columns
 */
export function table(caption, columns) {
  const head = columns.map(({ text, numeric, hidden }) =>
    h("th", { scope: "col", role: "columnheader", class: numeric ? "number" : null },
      h("span", { class: hidden ? "visually-hidden" : null }, text)));
  const body = h("tbody", { role: "rowgroup" });
  const element = h("table", { role: "table", class: "cards" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)), body);
  /** @param {Child[][]} cells */
  const row = (...cells) => h("tr", { role: "row" }, ...cells.map((content, index) =>
    h("td", { role: "cell", class: columns[index]?.numeric ? "number" : null, "data-label": columns[index]?.text ?? "" },
      ...content)));
  return { element, body, row };
}

/**
 * A part of a view with a heading.
 * @param {string} title
 * @param {Attributes} attributes
 * @param {...Child} children
 */
export function section(title, attributes, ...children) {
  const id = `h-${Math.random().toString(36).slice(2, 9)}`;
  return h("section", { "aria-labelledby": id, ...attributes, class: `card ${attributes.class ?? ""}` },
    h("h2", { id }, title), ...children);
}
