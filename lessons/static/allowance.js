// @ts-check
/** A month's data, where a family set a limit: once it is used, this page takes sound alone and sends no picture (policy: RL11). */

import { mark, maybe } from "./dom.js";

const USED = "Your month's data is used. Sound only from here.";

export class Allowance {
  #left;
  #end;

  /** @param {string | undefined} megabytes what is left; nothing where there is no limit @param {(words: string) => void} end */
  constructor(megabytes, end) {
    this.#left = megabytes ? Number(megabytes) * 1e6 : Infinity;
    this.#end = end;
  }

  get isUsed() {
    return this.#left <= 0;
  }

  get words() {
    return USED;
  }

  /** @param {number} bytes media sent and received since this page came in */
  count(bytes) {
    if (this.isUsed || bytes < this.#left) return;
    this.#left = 0;
    this.close();
    this.#end(USED);
  }

  /** The button that would bring pictures back says that it is not there. */
  close() {
    const button = maybe('[data-do="sound-only"]');
    if (button) mark(button, "aria-disabled", "true");
  }
}
