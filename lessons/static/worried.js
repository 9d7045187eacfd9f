// @ts-check
/**
 * “I'm worried” (policy: RC4): one press tells school, and nothing in the room changes. Closing wipes everything; while
 * the network is away the page keeps trying, and says so.
 */

import { find, maybe, pieces, show, write } from "./dom.js";

const AGAIN = 5000; // milliseconds between tries while offline
const OFFLINE = "Not sent. We will keep trying while this page is open. Danger now? Call 999.";

export class Worried {
  #panel = find("[data-worried]");
  #address;
  #lesson;
  #closed;
  #worry = ""; // the id of what was sent, so that more words join it

  /** Where a worry comes from, after a move to another room of the lesson. @param {string} lesson */
  setLesson(lesson) {
    this.#lesson = lesson;
  }

  /** @param {{address: string, lesson: string, closed: () => void}} given */
  constructor({ address, lesson, closed }) {
    this.#address = address;
    this.#lesson = lesson;
    this.#closed = closed;
    this.#panel.addEventListener("click", (event) => this.#clicked(event));
    this.#panel.addEventListener("submit", (event) => { event.preventDefault(); void this.#more(); });
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  open() {
    this.#panel.replaceChildren(pieces("worried-panel"));
    this.#worry = "";
    show(this.#panel, true);
    find("#worried-heading").focus();
  }

  close() {
    show(this.#panel, false);
    this.#panel.replaceChildren();
    this.#closed();
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const act = event.target instanceof Element ? event.target.closest("[data-help]")?.getAttribute("data-help") : null;
    if (act === "tell") void this.#tell();
    if (act === "broken" || act === "more") this.#step(act);
    if (act === "close") this.close();
  }

  async #tell() {
    this.#step("sent");
    this.#say("Sending");
    this.#say(sentWords(await this.#post({ lesson_id: this.#lesson })));
  }

  async #more() {
    const form = this.#panel.querySelector("form");
    if (!form) return;
    const given = new FormData(form);
    this.#step("sent");
    this.#say("Sending");
    const answer = await this.#post({
      lesson_id: this.#lesson, worry_id: this.#worry || null, do_not_ring_home: given.has("do_not_ring_home"),
      about: given.get("about"), text: String(given.get("text") ?? "").trim(),
    });
    this.#say(sentWords(answer));
  }

  /**
   * Keep trying: a child pressed this once and must not have to press it again.
   * @param {Record<string, unknown>} worry
   * @returns {Promise<Record<string, unknown>>}
   */
  async #post(worry) {
    for (;;) {
      const answer = await fetch(this.#address, {
        method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(worry), keepalive: true,
      }).then((response) => (response.ok ? response.json().catch(() => ({})) : null)).catch(() => null);
      if (answer) {
        this.#worry ||= String(answer.worry_id ?? "");
        return answer;
      }
      this.#say(OFFLINE);
      await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
    }
  }

  /** @param {string} step */
  #step(step) {
    for (const part of this.#panel.querySelectorAll("[data-step]")) show(part, part.getAttribute("data-step") === step);
    maybe(`[data-step="${step}"] [tabindex="-1"], [data-step="${step}"] input`, this.#panel)?.focus();
  }

  /** @param {string} words */
  #say(words) {
    const place = maybe("[data-sent-words]", this.#panel);
    if (place) write(place, words);
  }
}

/** @param {Record<string, unknown>} answer */
const sentWords = (answer) => `Sent. A grown-up who keeps children safe will look at it ${String(answer.when ?? "today")}.`;
