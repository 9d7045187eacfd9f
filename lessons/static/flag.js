// @ts-check
/**
 * Flag this moment (policy: RC1, RL6): one press keeps it; the note is optional and joins the same flag. The room says that one
 * is saved, in order; what it has not said so of is sent again when the line is back.
 */

import { find, maybe, pieces, show } from "./dom.js";

/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */
/** @typedef {{message: {type: string} & Record<string, unknown>, lesson: string, saved: (flag: string) => void}} Unsaved */

const SLOW = 5_000; // milliseconds, after which the page says that it waits
const LOST = "Not flagged. You lost the connection.";
const UNKNOWN = "We do not know if your flag was saved. Tell the safeguarding team what you saw.";

export class Flag {
  #panel = find("[data-flag-panel]");
  #send;
  #notice;
  #sharing;
  #lesson;
  #flag = "";
  /** @type {Unsaved[]} */
  #unsaved = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #slow;
  /** @type {HTMLElement | null} */
  #from = null;

  /** @param {{send: Send, notice: (words: string) => void, sharing: () => boolean, lesson: () => string}} given */
  constructor({ send, notice, sharing, lesson }) {
    this.#send = send;
    this.#notice = notice;
    this.#sharing = sharing;
    this.#lesson = lesson;
    this.#panel.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.#panel.addEventListener("click", (event) => event.target instanceof Element && event.target.closest("[data-flag-close]") && this.close());
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** One press. */
  raise() {
    this.#from = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    if (!this.#ask({ type: "flag" }, (flag) => this.#open(flag))) this.#notice(LOST);
  }

  /** The first of what waits is saved. @param {string} flag */
  raised(flag) {
    this.#answered()?.saved(flag);
  }

  /** The first of what waits was refused, and the page says why. */
  refused() {
    this.#answered();
  }

  /** In the room again. What was said in another room cannot be said again in this one. */
  again() {
    const here = this.#unsaved.filter((one) => one.lesson === this.#lesson());
    if (here.length < this.#unsaved.length) this.#notice(UNKNOWN);
    this.#unsaved = here;
    for (const { message } of here) this.#send(message);
  }

  /** The lesson is over for this page. */
  over() {
    clearTimeout(this.#slow);
    if (this.#unsaved.length) this.#notice(UNKNOWN);
    this.#unsaved = [];
  }

  /** Send it, and keep it until the room says that it is saved. @param {Unsaved["message"]} message @param {Unsaved["saved"]} saved */
  #ask(message, saved) {
    if (!this.#send(message)) return false;
    this.#unsaved.push({ message, lesson: this.#lesson(), saved });
    clearTimeout(this.#slow);
    this.#slow = setTimeout(() => this.#notice("Your flag is not saved yet. Keep this page open: we keep trying."), SLOW);
    return true;
  }

  #answered() {
    const first = this.#unsaved.shift();
    if (!this.#unsaved.length) clearTimeout(this.#slow);
    return first;
  }

  /** It is saved. While a screen is shared nothing opens: the class would see it. @param {string} flag */
  #open(flag) {
    this.#flag = flag;
    if (this.#sharing()) return this.#notice("Flagged. Add a note after the lesson.");
    this.#panel.replaceChildren(pieces("flag-form"));
    show(this.#panel, true);
    find("#flag-heading").focus();
  }

  /** @param {string} words of a message that was not delivered @param {() => void} saved */
  raiseMessage(words, saved) {
    const asked = this.#ask({ type: "flag", about: "chat", note: words }, saved);
    if (!asked) this.#notice(LOST);
    return asked;
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
    const message = { type: "flag", flag: this.#flag, ...(about ? { about } : {}), ...(note ? { note } : {}) };
    if ((about || note) && !this.#ask(message, () => this.#notice("Note saved."))) {
      return this.#notice("Not saved. You lost the connection. Save it again when it is back.");
    }
    return this.close();
  }
}
