// Questions before a change: each change asks once, in a modal dialog that the browser keeps the focus in.

import { button, h } from "./dom.js";
import { errorText, t } from "./text.js";

/**
 * @typedef {{
 *   name: string,
 *   label: string,
 *   type?: "text" | "number" | "select",
 *   value?: string,
 *   required?: boolean,
 *   maxLength?: number,
 *   pattern?: string,
 *   hint?: string,
 *   options?: { value: string, text: string }[],
 * }} Field
 */

let count = 0;

/** @param {Field} field */
function control(field) {
  const id = `field-${(count += 1)}`;
  const attributes = { id, name: field.name, required: field.required ?? false };
  const hint = field.hint ? h("span", { class: "hint", id: `${id}-hint` }, field.hint) : null;
  const described = hint ? `${id}-hint` : null;
  const input = field.type === "select"
    ? h("select", { ...attributes, "aria-describedby": described },
      ...(field.options ?? []).map(({ value, text }) => h("option", { value, selected: value === field.value }, text)))
    : h("input", {
      ...attributes,
      type: field.type ?? "text",
      value: field.value ?? "",
      min: field.type === "number" ? 0 : null,
      max: field.type === "number" ? 1000000 : null,
      maxlength: field.maxLength ?? null,
      pattern: field.pattern ?? null,
      autocomplete: "off",
      "aria-describedby": described,
    });
  return h("div", { class: "field" }, h("label", { for: id }, field.label), input, hint);
}

/**
 * Asks, and runs the change. The dialog stays open while the change fails, so that nothing has to be typed again. Returns
 * whether the change was made.
 * @param {{
 *   title: string,
 *   text?: string,
 *   fields?: Field[],
 *   action: string,
 *   isDanger?: boolean,
 *   run: (values: Record<string, string>) => Promise<unknown>,
 * }} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, fields = [], action, isDanger, run }) {
  return new Promise((resolve) => {
    const error = h("p", { class: "error", role: "alert" });
    const submit = h("button", { type: "submit", class: isDanger ? "danger" : "primary" }, action);
    const form = h("form", { method: "dialog" },
      h("h2", { id: "question" }, title),
      text ? h("p", {}, text) : null,
      ...fields.map(control),
      error,
      h("div", { class: "actions" }, button(t("cancel"), () => dialog.close()), submit));
    const dialog = h("dialog", { "aria-labelledby": "question" }, form);
    let isDone = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      error.textContent = "";
      const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
      try {
        await run(values);
        isDone = true;
        dialog.close();
      } catch (failure) {
        error.textContent = errorText(failure);
        submit.disabled = false;
      }
    });
    open(dialog, () => resolve(isDone));
  });
}

/**
 * Shows a dialog until it is closed, then gives the focus back.
 * @param {HTMLDialogElement} dialog
 * @param {() => void} closed
 */
export function open(dialog, closed) {
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * Says that something was done.
 * @param {string} text
 */
export function say(text) {
  const place = document.getElementById("said");
  if (!place) return;
  place.replaceChildren(h("p", { class: "toast" }, h("span", { "aria-hidden": "true" }, "✓ "), text));
  setTimeout(() => {
    if (place.textContent?.includes(text)) place.replaceChildren();
  }, 6000);
}
