// @ts-check
/** What pages that keep themselves up to date share: asking without counting as activity, and building without markup. */

/**
 * Ask for JSON. What a page asks for by itself keeps nobody signed in, so the header says that nobody did anything.
 * @param {string} path
 */
export async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json", "chaperone-background": "yes" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/**
 * Run `turn` now and again, the next time only after it is done. A turn that fails is tried again at the next.
 * @param {number} milliseconds
 * @param {() => Promise<void>} turn
 */
export function every(milliseconds, turn) {
  setTimeout(async () => {
    await turn().catch(() => undefined);
    every(milliseconds, turn);
  }, milliseconds);
}

/**
 * @param {string} name
 * @param {string} className
 * @param {(Node | string)[]} children
 */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

/**
 * @param {string} href
 * @param {string} words
 * @param {string} [hidden] more words, for screen readers
 */
export function link(href, words, hidden = "") {
  const made = /** @type {HTMLAnchorElement} */ (element("a", "govuk-link", words));
  made.href = href;
  if (hidden) made.append(element("span", "govuk-visually-hidden", hidden));
  return made;
}

/**
 * @param {string} label the column's name, for cards on a phone
 * @param {(Node | string)[]} children
 */
export function cell(label, ...children) {
  const made = element("td", "govuk-table__cell", ...children);
  if (label) made.dataset.label = label;
  return made;
}

/** @param {(Node | string)[]} children */
export function rowHeader(...children) {
  const made = element("th", "govuk-table__header", ...children);
  made.setAttribute("scope", "row");
  return made;
}

/**
 * Put `rows` in place of what a table body shows. The focus stays on the link it was on.
 * @param {HTMLElement} body
 * @param {HTMLElement[]} rows
 */
export function replaceRows(body, rows) {
  const focused = body.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
  body.replaceChildren(...rows);
  if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
}
