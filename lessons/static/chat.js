// @ts-check
/** The one room-wide chat (policy: RL6, RL7). What is not delivered stays in the box, and the sender is told why. */

import { find, mark, maybe, piece, say, show, write } from "./dom.js";
import { chatRefusal, clock } from "./words.js";

/** @typedef {import("./messages.js").ChatMessage} ChatMessage */
/** @typedef {import("./messages.js").ChatHeld} ChatHeld */
/** @typedef {import("./messages.js").State} State */
/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */

export class Chat {
  #log = find("[data-chat]");
  #words = find("[data-chat-words]");
  #text;
  #waiting = "";
  #unread = 0;
  /** @type {Set<string>} */
  #seen = new Set();
  #send;
  #flag;
  #isOpen;
  #mayChat;
  #staff;
  /** @type {State | null} */
  #state = null;

  /** @param {{send: Send, flag: (note: string, saved: () => void) => boolean, isOpen: () => boolean, mayChat: boolean, staff: boolean}} given */
  constructor({ send, flag, isOpen, mayChat, staff }) {
    this.#send = send;
    this.#flag = flag;
    this.#isOpen = isOpen;
    this.#mayChat = mayChat;
    this.#staff = staff;
    const text = find("[data-chat-text]");
    if (!(text instanceof HTMLTextAreaElement)) throw new Error("The chat has no textarea");
    this.#text = text;
    find("[data-chat-form]").addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
  }

  /** @param {State} state */
  setState(state) {
    this.#state = state;
    const reason = this.#closed();
    show(find("[data-chat-form]"), this.#mayChat || state.room === "held");
    if (reason) this.#refuse(reason);
    else if (this.#words.dataset.why === "closed") this.#tell("");
    if (reason) this.#words.dataset.why = "closed";
    const toggle = maybe('[data-do="chat-switch"]');
    if (toggle) mark(toggle, "aria-pressed", String(state.chat));
  }

  /** @param {ChatMessage} message */
  delivered(message) {
    if (this.#seen.has(message.id)) return;
    this.#seen.add(message.id);
    const item = piece("chat-message");
    write(find("[data-name]", item), message.own ? "You" : message.name);
    write(find("[data-time]", item), clock(message.at));
    mark(find("[data-time]", item), "datetime", message.at);
    write(find("[data-text]", item), message.text);
    item.classList.toggle("x-chat__message--own", Boolean(message.own));
    this.#add(item);
    if (message.own && message.own === this.#waiting) this.#sent();
    else if (!message.own) this.#count();
  }

  /** @param {ChatHeld} held */
  held(held) {
    if (held.own && held.own === this.#waiting) return this.refused({ own: held.own, reason: held.reason });
    if (!this.#staff || !held.id) return;
    const item = piece("chat-held");
    write(find("[data-text]", item), `Message from ${held.name ?? "a pupil"} not sent. It has ${held.reason === "word" ? "a word we do not use here" : "a link that is not in the plan"}.`);
    const words = find("[data-hidden-text]", item);
    const reveal = find("[data-show]", item);
    mark(reveal, "aria-expanded", "false");
    reveal.onclick = () => {
      write(words, held.text ?? "");
      show(words, words.hidden);
      mark(reveal, "aria-expanded", String(!words.hidden));
      this.#send({ type: "show_chat", id: held.id });
    };
    find("[data-flag]", item).onclick = (event) => {
      const button = event.target;
      if (!(button instanceof HTMLButtonElement)) return;
      const asked = this.#flag(held.text ?? "", () => write(button, "Flagged"));
      if (asked) Object.assign(button, { disabled: true, textContent: "Flagging" });
    };
    this.#add(item);
    this.#count();
  }

  /** @param {{own: string, reason: string}} refused */
  refused({ own, reason }) {
    if (own !== this.#waiting) return;
    this.#waiting = "";
    this.#refuse(reason);
    this.#text.focus();
  }

  /** The connection is gone: what was on its way may or may not have arrived; the words stay. */
  lost() {
    if (this.#waiting) this.refused({ own: this.#waiting, reason: "lost" });
  }

  /** Another room: what was said in the one before is not shown in this one. Words that were not sent stay. */
  clear() {
    this.lost();
    this.#seen.clear();
    this.#state = null;
    this.#log.replaceChildren();
    show(maybe("[data-chat-empty]"), true);
    this.opened();
  }

  opened() {
    this.#unread = 0;
    this.#badge();
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #closed() {
    if (!this.#state) return "paused";
    if (this.#state.room !== "open") return "paused";
    if (!this.#mayChat) return "not-permitted";
    return this.#state.chat || this.#staff ? "" : "off";
  }

  #submit() {
    const text = this.#text.value.trim();
    const reason = text ? this.#closed() : "empty";
    if (reason || this.#waiting) return reason ? this.#refuse(reason) : undefined;
    this.#waiting = crypto.randomUUID();
    this.#tell("Sending");
    if (!this.#send({ type: "chat", own: this.#waiting, text })) this.lost();
    return undefined;
  }

  #sent() {
    this.#waiting = "";
    this.#text.value = "";
    this.#tell("");
  }

  /** @param {string} reason */
  #refuse(reason) {
    this.#tell(chatRefusal(reason), true);
  }

  /** @param {string} words @param {boolean} [refused] */
  #tell(words, refused = false) {
    write(this.#words, words);
    this.#words.dataset.why = "";
    this.#words.classList.toggle("x-chat__words--refused", refused);
  }

  /** @param {HTMLElement} item */
  #add(item) {
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
    this.#log.append(item);
    show(maybe("[data-chat-empty]"), false);
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #count() {
    if (this.#isOpen()) return;
    this.#unread += 1;
    this.#badge();
    say("status", this.#unread === 1 ? "1 new message" : `${this.#unread} new messages`);
  }

  #badge() {
    const control = maybe(".x-control--chat");
    if (control) mark(control, "data-unread", this.#unread ? String(this.#unread) : "");
  }
}
