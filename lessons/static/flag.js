// @ts-check
/** Flag this moment (policy: RC1, RL6): one press keeps it; the note is optional and joins the same flag. */

import { find, maybe, pieces, show } from "./dom.js";

const PATIENCE = 5000;
const NOT_SAVED = "Not saved. You lost the connection. Your words are still here.";

/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */

export class Flag {
  #panel = find("[data-flag-panel]");
  #send;
  #notice;
  #sharing;
  #flag = "";
  #asked = false;
  #waiting = "";
  #later = "";
  /** @type {HTMLElement | null} */
  #from = null;

  /** @param {{send: Send, notice: (words: string) => void, sharing: () => boolean}} given */
  constructor({ send, notice, sharing }) {
    this.#send = send;
    this.#notice = notice;
    this.#sharing = sharing;
    this.#panel.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.#panel.addEventListener("click", (event) => event.target instanceof Element && event.target.closest("[data-flag-close]") && this.close());
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** One press. */
  raise() {
    this.#from = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    this.#asked = this.#send({ type: "flag" });
    if (!this.#asked) this.#notice("Not flagged. You lost the connection.");
  }

  /** It is kept, or the note that joined it is. While a screen is shared nothing opens: the class would see it. @param {string} flag */
  raised(flag) {
    if (this.#waiting && flag === this.#waiting) return this.#saved();
    if (!this.#asked) return;
    this.#asked = false;
    if (this.#sharing()) {
      this.#later = flag;
      return this.#notice("Flagged. When you stop sharing you can add a note.");
    }
    this.#open(flag);
  }

  /** What is shared has changed. */
  shared() {
    if (!this.#later || this.#sharing()) return;
    const flag = this.#later;
    this.#later = "";
    this.#open(flag);
  }

  /** Whether it was sent. @param {string} words of a message that was not delivered */
  raiseMessage(words) {
    const sent = this.#send({ type: "flag", about: "chat", note: words });
    if (!sent) this.#notice("Not flagged. You lost the connection.");
    return sent;
  }

  /** A note that is being written is not swept away by a second flag. @param {string} flag */
  #open(flag) {
    if (this.#given().note) return this.#notice("Flagged. Your note on the flag before is still here.");
    this.#flag = flag;
    this.#panel.replaceChildren(pieces("flag-form"));
    show(this.#panel, true);
    find("#flag-heading").focus();
  }

  close() {
    show(this.#panel, false);
    this.#panel.replaceChildren();
    (this.#from ?? maybe('[data-do="flag"]'))?.focus();
  }

  #given() {
    const form = this.#panel.querySelector("form");
    const given = form ? new FormData(form) : new FormData();
    return { about: given.get("about"), note: String(given.get("note") ?? "").trim() };
  }

  /** It is saved when the room says so; until then the words stay. */
  #save() {
    const { about, note } = this.#given();
    if (!about && !note) return this.close();
    if (!this.#send({ type: "flag", flag: this.#flag, ...(about ? { about } : {}), ...(note ? { note } : {}) })) return this.#notice(NOT_SAVED);
    const flag = this.#waiting = this.#flag;
    setTimeout(() => { if (this.#waiting === flag) this.#notice(NOT_SAVED); }, PATIENCE);
  }

  #saved() {
    this.#waiting = "";
    this.close();
    this.#notice("Note saved.");
  }
}
