// @ts-check
/**
 * The school rings in the app: what is on the screen, and what a parent can do about it. Whoever looks at the phone reads that a
 * school calls, and no child's name. Whether anybody is heard is the server's to say.
 */

import { h } from "./dom.js";
import { Line } from "./line.js";
import { button } from "./parts.js";
import { openTelephone } from "./telephone.js";

const BUZZ = [400, 200, 400, 1000];
const BUZZ_EVERY = 2000;

/** @typedef {Awaited<ReturnType<typeof openTelephone>>} Telephone */

/** @param {import("./app.js").App} app */
export function watchCalls(app) {
  /** @type {Incoming | null} */
  let incoming = null;
  const line = new Line(app.client, (told) => {
    if (told.type === "ring" && (!incoming || incoming.isOver)) {
      incoming?.dialog.close(); // nobody was there to read its last word
      const mine = new Incoming(app, line, told.call, () => follow(), () => {
        if (incoming === mine) incoming = null;
        follow();
      });
      incoming = mine;
      follow();
    } else if (told.call === incoming?.id) incoming.hear(told);
  }, () => incoming?.over("over"));
  const follow = () => {
    if (app.me === null && incoming?.isOver) incoming.dialog.close();
    app.isInCall = incoming !== null && !incoming.isOver; // its last word keeps no lock off
    const enters = app.me !== null && app.me.agreement !== "not_signed";
    line.want(app.isInCall || (enters && !document.hidden));
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("online", follow);
  app.drawn = follow;
}

/** One call, from ringing to its last word. */
class Incoming {
  /** @type {Telephone | null} */
  #telephone = null;
  isOver = false;

  /**
   * @param {import("./app.js").App} app @param {Line} line @param {string} id
   * @param {() => void} ended its last word is said @param {() => void} gone
   */
  constructor(app, line, id, ended, gone) {
    this.app = app;
    this.line = line;
    this.id = id;
    this.ended = ended;
    const { t } = app;
    this.state = h("p", { role: "status", id: "call-state" });
    this.buttons = h("div", { class: "call-buttons" },
      button(t("call.answer"), { id: "call-answer", click: () => this.answer() }),
      button(t("call.decline"), { kind: "secondary", id: "call-decline", click: () => this.decline() }));
    this.dialog = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "call-title", "aria-describedby": "call-text",
      class: "call" }, h("h2", { id: "call-title" }, t("call.title")), h("p", { id: "call-text" }, t("call.text")), this.state,
      this.buttons));
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.preventDefault(); // neither answers nor declines
    });
    this.dialog.addEventListener("close", () => {
      if (!this.isOver) this.hangUp(); // a phone's own “back”: nobody talks without this screen
      this.dialog.remove();
      gone();
    });
    document.body.append(this.dialog);
    this.dialog.showModal();
    /** @type {HTMLElement | null} */ (this.dialog.querySelector("#call-answer"))?.focus();
    const buzz = () => navigator.vibrate?.(BUZZ);
    this.buzzing = setInterval(buzz, BUZZ_EVERY);
    buzz();
    this.say("ringing");
  }

  async answer() {
    this.still();
    this.offers("call.end", "warning", () => this.hangUp());
    this.state.textContent = this.app.t("call.microphone");
    try {
      const telephone = await openTelephone();
      if (this.isOver) {
        telephone.close();
        return;
      }
      this.#telephone = telephone;
      this.say("answer", { sdp: telephone.offer });
      this.state.textContent = this.app.t("call.connecting");
    } catch (error) {
      const busy = /** @type {any} */ (error).name === "NotReadableError";
      this.say("no", { why: busy ? "busy" : "cannot" });
      this.over(busy ? "busy" : "cannot");
    }
  }

  decline() {
    this.say("no", { why: "declined" });
    this.over("over");
    this.dialog.close();
  }

  hangUp() {
    this.say("hang-up");
    this.over("over");
  }

  /** @param {import("./line.js").Told} told */
  hear(told) {
    if (told.type === "answer") this.#telephone?.accept(told.sdp ?? "").catch(() => this.hangUp());
    if (told.type === "state" && !this.isOver) {
      this.#telephone?.hold(told.state === "held");
      this.state.textContent = this.app.t(`call.state.${told.state}`);
    }
    if (told.type === "stop") this.over(told.why ?? "over");
  }

  /** @param {string} why */
  over(why) {
    if (this.isOver) return;
    this.isOver = true;
    this.still();
    this.#telephone?.close();
    this.state.textContent = this.app.t(`call.over.${why}`);
    this.offers("call.close", "", () => this.dialog.close());
    this.ended();
  }

  still() {
    clearInterval(this.buzzing);
    navigator.vibrate?.(0);
  }

  /** The one thing that can be done now. @param {string} words @param {string} kind @param {() => void} click */
  offers(words, kind, click) {
    const only = button(this.app.t(words), { kind, click });
    this.buttons.replaceChildren(only);
    only.focus();
  }

  /** @param {string} type @param {Record<string, string>} more */
  say(type, more = {}) {
    this.line.send({ type, call: this.id, ...more });
  }
}
