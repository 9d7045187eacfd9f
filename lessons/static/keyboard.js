// @ts-check
/** Keys of the room: F6 moves between its regions, Alt+Shift with a letter presses a control. They can be turned off. */

import { all, maybe } from "./dom.js";

/** @type {Record<string, string>} */
const KEYS = { KeyM: "microphone", KeyV: "camera", KeyH: "hand", KeyC: "chat", KeyF: "flag" };

export class Keyboard {
  on = true;
  #press;

  /** @param {(control: string) => void} press */
  constructor(press) {
    this.#press = press;
    document.addEventListener("keydown", (event) => this.#down(event));
  }

  /** @param {KeyboardEvent} event */
  #down(event) {
    if (event.key === "F6" && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      moveRegion(event.shiftKey ? -1 : 1);
    }
    const control = event.altKey && event.shiftKey && !event.ctrlKey ? KEYS[event.code] : undefined;
    if (!control || !this.on || !maybe(`[data-do="${control}"]:not([hidden])`)) return;
    event.preventDefault();
    this.#press(control);
  }
}

/** @param {number} by */
function moveRegion(by) {
  const regions = all("[data-region]").filter((region) => region.getClientRects().length > 0);
  const here = regions.findIndex((region) => region.contains(document.activeElement));
  regions[(here + by + regions.length) % regions.length]?.focus();
}
