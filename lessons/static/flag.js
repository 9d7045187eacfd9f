// @ts-check
/**
 * Flag this moment (policy: RC1, RL6): one press keeps it; the note is optional and joins the same flag. The room says that one
 * is saved, in order; what it has not said so of is sent again when the line is back, and until then the words stay.
 */

import { find, maybe, pieces, show } from "./dom.js";

/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */
/** @typedef {{message: {type: string} & Record<string, unknown>, lesson: string, saved: (flag: string) => void}} Unsaved */

const SLOW = 5_000; // milliseconds, after which the page says that it waits
const LOST = "Not flagged. You lost the connection.";
const NOTE_LOST = "Not saved. You lost the connection. Your words are still here.";
const NOT_YET = "Your flag is not saved yet. Keep this page open: we keep trying.";
const UNKNOWN = "We do not know if your flag was saved. Tell the safeguarding team what you saw.";

export class Flag {
  #panel = find("[data-flag-panel]");
  #send;
  #notice;
  #sharing;
  #lesson;
  #flag = "";
  #later = "";
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
    if (!this.#ask({ type: "flag" }, (flag) => this.#kept(flag))) this.#notice(LOST);
  }

  /** Whether it was sent. @param {string} words of a message that was not delivered @param {() => void} saved */
  raiseMessage(words, saved) {
    const asked = this.#ask({ type: "flag", about: "chat", note: words }, saved);
    if (!asked) this.#notice(LOST);
    return asked;
  }

  /** The first of what waits is saved. @param {string} flag */
  raised(flag) {
    this.#answered()?.saved(flag);
  }

  /** The first of what waits was refused, and the page says why. */
  refused() {
    this.#answered();
  }

  /** What is shared has changed. */
  shared() {
    if (!this.#later || this.#sharing()) return;
    const flag = this.#later;
    this.#later = "";
    this.#open(flag);
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

  close() {
    show(this.#panel, false);
    this.#panel.replaceChildren();
    (this.#from ?? maybe('[data-do="flag"]'))?.focus();
  }

  /** Send it, and keep it until the room says that it is saved. @param {Unsaved["message"]} message @param {Unsaved["saved"]} saved */
  #ask(message, saved) {
    if (!this.#send(message)) return false;
    this.#unsaved.push({ message, lesson: this.#lesson(), saved });
    clearTimeout(this.#slow);
    this.#slow = setTimeout(() => this.#notice(NOT_YET), SLOW);
    return true;
  }

  #answered() {
    const first = this.#unsaved.shift();
    if (!this.#unsaved.length) clearTimeout(this.#slow);
    return first;
  }

  /** While a screen is shared nothing opens: the class would see it. @param {string} flag */
  #kept(flag) {
    if (!this.#sharing()) return this.#open(flag);
    this.#later = flag;
    return this.#notice("Flagged. When you stop sharing you can add a note.");
  }

  /** A note that is being written is not swept away by a second flag. @param {string} flag */
  #open(flag) {
    if (this.#given().note) return this.#notice("Flagged. Your note on the flag before is still here.");
    this.#flag = flag;
    this.#panel.replaceChildren(pieces("flag-form"));
    show(this.#panel, true);
    return find("#flag-heading").focus();
  }

  #given() {
    const form = this.#panel.querySelector("form");
    const given = form ? new FormData(form) : new FormData();
    return { about: given.get("about"), note: String(given.get("note") ?? "").trim() };
  }

  #save() {
    const { about, note } = this.#given();
    if (!about && !note) return this.close();
    const message = { type: "flag", flag: this.#flag, ...(about ? { about } : {}), ...(note ? { note } : {}) };
    if (this.#unsaved.some((one) => one.message.note === note && one.message.flag === this.#flag)) return this.#notice(NOT_YET);
    return this.#ask(message, () => this.#saved(note)) || this.#notice(NOTE_LOST);
  }

  /** What was written on meanwhile is not swept away. @param {string} note */
  #saved(note) {
    this.#notice("Note saved.");
    if (this.#given().note === note) this.close();
  }
}
