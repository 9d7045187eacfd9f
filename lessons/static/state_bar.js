// @ts-check
/** X-StateBar: what the room is, in shape and words, never hidden; the page's title and icon say the same. */

import { drawing, find, mark, maybe, show, write } from "./dom.js";
import { STATE_SHAPES, STATE_WORDS, clock, count, whoIsHere } from "./words.js";

/** @typedef {import("./messages.js").State} State */
/** @typedef {keyof typeof STATE_WORDS} View */

const ICONS = { door: "waiting", lobby: "waiting", open: "open", held: "paused", ended: "ended" };

export class StateBar {
  #title;
  #ends = 0;
  #skew = 0; // this device's clock against the server's, in milliseconds
  #room = "door";

  /** @param {string} title of the lesson */
  constructor(title) {
    this.#title = title;
    setInterval(() => this.#drawTime(), 5000);
  }

  /** Another room of the lesson has a name of its own. @param {string} title */
  setTitle(title) {
    this.#title = title;
  }

  /** @param {string} now of the server */
  setClock(now) {
    this.#skew = Date.parse(now) - Date.now();
  }

  /** @param {View} view */
  setView(view) {
    this.#room = view;
    const state = find("[data-state]");
    write(find("[data-state-word]", state), STATE_WORDS[view]);
    drawing(state, STATE_SHAPES[view]);
    mark(find(".x-state-bar"), "data-view", view);
    document.title = view === "door" ? this.#title : `${STATE_WORDS[view]}: ${this.#title}`;
    const icon = document.querySelector('link[rel~="icon"]') ?? document.head.appendChild(Object.assign(document.createElement("link"), { rel: "icon" }));
    mark(icon, "type", "image/svg+xml");
    mark(icon, "href", new URL(`favicon-${ICONS[view]}.svg`, import.meta.url).pathname);
    if (view === "ended" || view === "door") for (const fact of ["recorded", "people", "leader", "approved", "time", "connection", "sound-only"]) this.#fact(fact, "");
  }

  /** @param {State} state */
  setState(state) {
    const open = state.room === "open";
    const here = whoIsHere(state);
    show(maybe('[data-fact="recorded"]'), open && state.recording);
    this.#fact("people", open ? here.people : "");
    this.#fact("leader", open ? here.leader : "");
    this.#fact("approved", open && state.approved_until ? `Approved one-to-one until ${clock(state.approved_until)}` : "");
    this.#ends = Date.parse(state.ends_at);
    this.#drawTime();
  }

  /** @param {string} words empty when all is well */
  setConnection(words) {
    this.#fact("connection", words);
  }

  /** @param {boolean} on */
  setSoundOnly(on) {
    show(maybe('[data-fact="sound-only"]'), on);
  }

  #drawTime() {
    const minutes = Math.ceil((this.#ends - Date.now() - this.#skew) / 60_000);
    const running = (this.#room === "open" || this.#room === "held") && minutes > 0;
    this.#fact("time", running ? `${count(minutes, "minute")} left` : "");
  }

  /** @param {string} name @param {string} words */
  #fact(name, words) {
    const fact = find(`[data-fact="${name}"]`);
    if (name !== "recorded" && name !== "sound-only") write(fact, words);
    show(fact, words !== "");
  }
}
