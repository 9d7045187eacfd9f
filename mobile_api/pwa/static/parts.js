// @ts-check
/** The parts that pages are made of. Their words come in as arguments; nothing here asks for anything over the network. */

import { h, icon } from "./dom.js";
import { Wish } from "./protocol.js";

/** @typedef {import("./dom.js").Part} Part */

/** @param {string} href @param {string} words @param {Record<string, any>} given */
export const link = (href, words, given = {}) => h("a", { href, ...given }, words);

/** @param {string} words @param {Record<string, any>} given a `href` makes it a link that looks like a button */
export const button = (words, given = {}) => {
  const { kind = "", ...rest } = given;
  const type = rest.href ? {} : { type: "button" };
  return h(rest.href ? "a" : "button", { class: `button ${kind}`, ...type, ...rest }, words);
};

/** @param {Part} title @param {(Part | Part[])[]} parts */
export const card = (title, ...parts) =>
  h("section", { class: "card" }, h("h2", { class: "card-title" }, title), h("div", { class: "card-body" }, ...parts));

/** @param {string} words @param {string} kind */
export const tag = (words, kind = "") => h("strong", { class: `tag ${kind}` }, words);

/** @param {...(Part | Part[])} parts */
export const inset = (...parts) => h("div", { class: "inset" }, ...parts);

/** @param {string} title @param {...(Part | Part[])} parts */
export const panel = (title, ...parts) => h("div", { class: "panel" }, h("h1", { tabindex: "-1" }, title), ...parts);

/** @param {[Part, Part, Part?][]} rows name, value, what can be done about it */
export const facts = (rows) => h("dl", { class: "facts" }, ...rows.map(([name, value, act]) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, value), act ? h("dd", { class: "act" }, act) : null)));

/** @param {[string, string, Part?][]} rows address, name, what is so */
export const tasks = (rows) => h("ul", { class: "tasks" }, ...rows.map(([href, name, state]) =>
  h("li", {}, link(href, name), state ? h("span", { class: "task-state" }, state) : null)));

/** @param {string} text plain, blank lines part paragraphs */
export const paragraphs = (text) => text.split(/\n\s*\n/).filter(Boolean).map((each) => h("p", {}, each));

/**
 * A measure with its words beside it.
 * @param {string} words @param {number} value @param {number} most
 */
export const meter = (words, value, most) => {
  const id = unique();
  return h("div", { class: "meter" }, h("label", { for: id }, words), h("meter", { id, min: "0", max: most, value: Math.max(0,
    value) }));
};

let made = 0;
export const unique = () => `part-${(made += 1)}`;

/**
 * @typedef {{name: string, node: HTMLElement, value: () => string, say: (error: string) => void, first: string}} Field
 */

/**
 * @param {{name: string, label: Part, hint?: string, choices: [string, Part][], value?: string, big?: boolean}} of
 * @returns {Field}
 */
export function radios({ name, label, hint = "", choices, value = "", big = false }) {
  const id = unique();
  const [error, say] = errorLine(id);
  const options = choices.map(([key, words], number) => h("div", { class: "choice" },
    h("input", { type: "radio", id: `${id}-${number}`, name, value: key, checked: key === value }),
    h("label", { for: `${id}-${number}` }, words)));
  const node = h("fieldset", { class: "field", "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error` },
    h("legend", {}, big ? h("h1", { tabindex: "-1" }, label) : label), hint ? h("p", { class: "hint", id: `${id}-hint` }, hint)
      : null, error, ...options);
  const chosen = () => /** @type {HTMLInputElement | null} */ (node.querySelector("input:checked"))?.value ?? "";
  return { name, node, value: chosen, first: `${id}-0`, say: (words) => say(words, node) };
}

/**
 * @param {{name: string, label: string, hint?: string, kind?: string, lines?: number, given?: Record<string, any>}} of
 * @returns {Field}
 */
export function input({ name, label, hint = "", kind = "text", lines = 0, given = {} }) {
  const id = unique();
  const [error, say] = errorLine(id);
  const about = { id, name, "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error`, ...given };
  const box = /** @type {HTMLInputElement} */ (lines ? h("textarea", { rows: lines, ...about }) : h("input", { type: kind,
    ...about }));
  const node = h("div", { class: "field" }, h("label", { for: id }, label),
    hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null, error, box);
  return { name, node, value: () => box.value.trim(), first: id, say: (words) => say(words, node, box) };
}

/** @param {{name: string, label: string}} of @returns {Field} */
export function tick({ name, label }) {
  const id = unique();
  const [error, say] = errorLine(id);
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id, name, "aria-describedby": `${id}-error` }));
  const node = h("div", { class: "field" }, error, h("div", { class: "choice" }, box, h("label", { for: id }, label)));
  return { name, node, value: () => (box.checked ? "yes" : ""), first: id, say: (words) => say(words, node, box) };
}

/**
 * Day, month and year in three boxes, as people know them from forms.
 * @param {{name: string, label: string, hint: string, parts: [string, string, string]}} of
 * @returns {Field}
 */
export function dateInput({ name, label, hint, parts }) {
  const id = unique();
  const [error, say] = errorLine(id);
  const boxes = parts.map((words, number) => {
    const box = /** @type {HTMLInputElement} */ (h("input", {
      id: `${id}-${number}`, inputmode: "numeric", autocomplete: "off", maxlength: number === 2 ? 4 : 2, class: number === 2
        ? "w4" : "w2" }));
    return { box, node: h("div", {}, h("label", { for: `${id}-${number}` }, words), box) };
  });
  const node = h("fieldset", { class: "field", "aria-describedby": `${id}-hint ${id}-error` }, h("legend", {}, label),
    h("p", { class: "hint", id: `${id}-hint` }, hint), error, h("div", { class: "date" }, ...boxes.map((one) => one.node)));
  const value = () => {
    const [day = "", month = "", year = ""] = boxes.map((one) => one.box.value.trim());
    const text = `${year.padStart(4, "0")}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
    const at = new Date(`${text}T00:00:00Z`);
    return Number.isNaN(at.valueOf()) || at.toISOString().slice(0, 10) !== text ? "" : text;
  };
  return { name, node, value, first: `${id}-0`, say: (words) => say(words, node) };
}

/** @param {string} id @returns {[HTMLElement, (words: string, field: HTMLElement, box?: HTMLElement) => void]} */
function errorLine(id) {
  const line = h("p", { class: "error", id: `${id}-error`, hidden: true });
  return [line, (words, field, box) => {
    line.textContent = words;
    line.hidden = !words;
    field.classList.toggle("wrong", Boolean(words));
    if (words) box?.setAttribute("aria-invalid", "true");
    else box?.removeAttribute("aria-invalid");
  }];
}

/**
 * A form that is sent once, however often its button is pressed, and says what is wrong at its top. Its wish is for what it writes.
 * @param {{t: (key: string) => string, failed: (error: unknown) => string}} words
 * @param {{fields: Field[], send: string, kind?: string, check?: (values: Record<string, string>) => Record<string, string | undefined>,
 *   act: (values: Record<string, string>, wish: Wish) => Promise<void>, between?: Part[]}} of
 */
export function form(words, { fields, send, kind = "", check = () => ({}), act, between = [] }) {
  const summary = h("div", { class: "summary", tabindex: "-1", hidden: true, role: "alert" });
  const press = /** @type {HTMLButtonElement} */ (button(send, { type: "submit", kind }));
  const wish = new Wish();
  let busy = false;
  /** @param {[Field | null, string][]} wrong */
  const tell = (wrong) => {
    summary.replaceChildren(h("h2", {}, words.t("error.title")), h("ul", {}, ...wrong.map(([field, said]) =>
      h("li", {}, field ? h("a", { href: `#${field.first}`, click: focusOn(field.first) }, said) : said))));
    summary.hidden = false;
    document.title = `${words.t("error.prefix")} ${document.title.replace(`${words.t("error.prefix")} `, "")}`;
    summary.focus();
  };
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const values = Object.fromEntries(fields.map((field) => [field.name, field.value()]));
    const wrong = check(values);
    for (const field of fields) field.say(wrong[field.name] ?? "");
    summary.hidden = true;
    const amiss = fields.filter((one) => wrong[one.name]);
    if (amiss.length) return tell(amiss.map((one) => [one, wrong[one.name] ?? ""]));
    busy = true;
    press.setAttribute("aria-disabled", "true");
    try {
      await act(values, wish);
    } catch (error) {
      tell([[null, words.failed(error)]]);
    } finally {
      busy = false;
      press.removeAttribute("aria-disabled");
    }
  };
  const begun = (/** @type {Event} */ event) => { /** @type {HTMLElement} */ (event.currentTarget).dataset.begun = "true"; };
  return h("form", { novalidate: true, submit, input: begun }, summary, ...fields.map((field) => field.node), ...between, press);
}

/** @param {string} id */
const focusOn = (id) => (/** @type {Event} */ event) => {
  event.preventDefault();
  document.getElementById(id)?.focus();
};

/**
 * “Listen”: only with a voice that is on this device, so that what is read aloud goes nowhere.
 * @param {{t: (key: string) => string}} words
 * @param {string} language
 * @param {() => string} text
 * @param {() => void} heard
 */
export function listen(words, language, text, heard) {
  const label = h("span", {}, words.t("listen"));
  const press = h("button", { type: "button", class: "listen", hidden: true, "aria-pressed": "false" }, icon("listen"), label);
  const speech = globalThis.speechSynthesis;
  const voice = () => speech?.getVoices().find((one) => one.localService && one.lang.toLowerCase().startsWith(language));
  const show = () => { press.hidden = !voice(); };
  show();
  speech?.addEventListener?.("voiceschanged", show);
  const still = () => {
    press.setAttribute("aria-pressed", "false");
    label.textContent = words.t("listen");
  };
  press.addEventListener("click", () => {
    const was = press.getAttribute("aria-pressed") === "true";
    speech.cancel();
    if (was) return still();
    const said = new SpeechSynthesisUtterance(text());
    said.voice = voice() ?? null;
    said.lang = language;
    said.addEventListener("end", still);
    speech.speak(said);
    press.setAttribute("aria-pressed", "true");
    label.textContent = words.t("listen.stop");
    heard();
  });
  return press;
}
