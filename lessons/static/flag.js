// @ts-check
/** Flag this moment (policy: RC1, RL6): one press keeps it; the note is optional and joins the same flag. */

import { find, maybe, pieces, show } from "./dom.js";

/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */

export class Flag {
  #panel = find("[data-flag-panel]");
  #send;
  #notice;
  #sharing;
  #flag = "";
  #asked = false;
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

  /** It is kept. While a screen is shared nothing opens: the class would see it. @param {string} flag */
  raised(flag) {
    if (!this.#asked) return;
    this.#asked = false;
    this.#flag = flag;
    if (this.#sharing()) return this.#notice("Flagged. Add a note after the lesson.");
    this.#panel.replaceChildren(pieces("flag-form"));
    show(this.#panel, true);
    find("#flag-heading").focus();
  }

  /** @param {string} words of a message that was not delivered */
  raiseMessage(words) {
    this.#send({ type: "flag", about: "chat", note: words });
  }

  close() {
    show(this.#panel, false);
    this.#panel.replaceChildren();
    (this.#from ?? maybe('[data-do="flag"]'))?.focus();
  }

  #save() {
    const form = this.#panel.querySelector("form");
    const given = form ? new FormData(form) : new FormData();
    const about = given.get("about");
    const note = String(given.get("note") ?? "").trim();
    if (about || note) this.#send({ type: "flag", flag: this.#flag, ...(about ? { about } : {}), ...(note ? { note } : {}) });
    this.close();
    this.#notice("Note saved.");
  }
}
