// @ts-check
/** Lines above the stage that stay until they are closed, answered or replaced; they never cover a picture. Of those that
 * only tell something the latest is there; a question waits for its answer. */

import { all, find, piece, write } from "./dom.js";

/**
 * @param {string} words
 * @param {[string, () => unknown][]} [buttons] what can be answered; without any it can only be closed
 * @param {string} [name] a notice of the same name is replaced
 */
export function notice(words, buttons = [["Close", () => {}]], name = "latest") {
  removeNotice(name);
  const strip = piece("notice");
  strip.dataset.name = name;
  for (const [label, act] of buttons) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "x-small", textContent: label });
    button.onclick = () => { strip.remove(); act(); };
    find("[data-buttons]", strip).append(button);
  }
  find("[data-notices]").append(strip);
  write(find("[data-words]", strip), words); // after it is there, so that it is spoken
}

/** @param {string} name */
export function removeNotice(name) {
  for (const strip of all("[data-notices] > *")) if (strip.dataset.name === name) strip.remove();
}
