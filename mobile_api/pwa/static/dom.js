// @ts-check
/** Making elements. Words become text nodes and nothing else, so nothing that anybody wrote is ever markup. */

/** @typedef {string | Node | null | undefined | false} Part */

/**
 * @param {string} tag
 * @param {Record<string, any>} given attributes; a function is a listener (`click: …`), false and null leave one out
 * @param {...(Part | Part[])} parts
 * @returns {HTMLElement}
 */
export function h(tag, given = {}, ...parts) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...filled(parts));
  return made;
}

/** @param {(Part | Part[])[]} parts */
export const filled = (parts) => /** @type {(string | Node)[]} */ (parts.flat().filter((part) => part || part === ""));

/**
 * A drawing of the app's own sheet, always beside a word.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("d", ICONS[name] ?? "");
  svg.append(use);
  return svg;
}

/** @type {Record<string, string>} 24 px, a line of 2 px */
const ICONS = {
  home: "M4 11 12 4l8 7v9h-6v-6h-4v6H4Z",
  permissions: "M6 3h12v18H6ZM9 9l1.5 1.5L13 8M9 15h6",
  messages: "M3 5h18v12H9l-4 4v-4H3Z",
  more: "M5 12h.1M12 12h.1M19 12h.1",
  language: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
  listen: "M4 9v6h4l5 4V5L8 9ZM17 9c1.5 2 1.5 4 0 6",
  stop: "M6 6h12v12H6Z",
};
