// @ts-check
/**
 * Answers on their way: saved while a parent goes through the questions, waiting while there is no network, sent once. Each has
 * the key of its wish from the beginning, so however often it is tried, it counts once.
 */

import { Offline, Problem } from "./protocol.js";
import { turnOf } from "./store.js";

const LOCK = "chaperone-answers";

/** What stands in the way for now: the agreement is signed first, or the same answer is being taken. */
const PASSING = ["agreement-due", "under-way"];

/** Whether asking again is no use. @param {Problem} problem */
const isFinal = ({ status, code }) => status >= 400 && status < 500 && status !== 429 && !PASSING.includes(code);

export class Answers {
  /** @param {import("./store.js").Store} store @param {import("./protocol.js").Client} client */
  constructor(store, client) {
    this.store = store;
    this.client = client;
  }

  /** @param {string} child @returns {Promise<import("./store.js").Waiting[]>} what was saved and not sent, one for each question */
  async drafts(child) {
    return (await this.#own()).filter((one) => one.state === "draft" && one.child === child);
  }

  /** @returns {Promise<import("./store.js").Waiting[]>} */
  async waiting() {
    return (await this.#own()).filter((one) => one.state !== "draft");
  }

  /** @returns {Promise<import("./store.js").Waiting[]>} all of it: what was saved, what waits, and what became of it */
  async kept() {
    return this.#own();
  }

  /** @returns {Promise<import("./store.js").Waiting[]>} what is lost if it is not sent: what was saved, and what waits */
  async unsent() {
    return (await this.#own()).filter((one) => one.state === "draft" || one.state === "waiting");
  }

  /** Of whoever opened this phone last: where parents share one, nobody's answers are shown to the other, or sent as theirs. */
  async #own() {
    const phone = await this.store.get("phone");
    return (await this.store.waiting()).filter((one) => one.phone === phone);
  }

  /**
   * Save an answer; it takes the place of one to the same question that was not sent, or not taken. One that waits would be sent
   * after this one, and win. One that is on its way arrives first: hence the lock.
   * @param {string} child @param {string} purpose @param {string} path @param {any} body
   */
  async save(child, purpose, path, body) {
    const draft = /** @type {import("./store.js").Waiting} */ (
      { key: crypto.randomUUID(), phone: await this.store.get("phone"), state: "draft", path, child, purpose, body,
        turn: await this.store.nextTurn(), at: new Date().toISOString() });
    await this.store.put(draft); // before anything is waited for
    await navigator.locks.request(LOCK, async () => {
      const before = (await this.#open(child, purpose)).filter((one) => turnOf(one) < draft.turn);
      for (const one of before) await this.store.drop(one.key);
    });
    return draft;
  }

  /**
   * Send these answers, in their order. Where nobody answers, or the school cannot take one just now, they wait; an agreement that
   * is due is said, for then they wait for their parent.
   * @param {import("./store.js").Waiting[]} answers
   * @returns {Promise<any[] | null>} what each answer did, or null: they wait now
   */
  async send(answers) {
    for (const one of answers) await this.store.put({ ...one, state: "waiting" });
    return navigator.locks.request(LOCK, async () => {
      const said = [];
      let problem;
      for (const one of answers) {
        try {
          said.push(await this.#sendOne(one));
        } catch (error) {
          if (error instanceof Offline) return null;
          if (!(error instanceof Problem) || error.code === "agreement-due") throw error;
          if (!isFinal(error)) return null;
          problem ??= error; // one that is refused keeps no other from being sent
        }
      }
      if (problem) throw problem;
      return said;
    });
  }

  /** Send what waits, in its order: none before one that the school cannot take just now. Returns whether anything became of it. */
  async flush() {
    return navigator.locks.request(LOCK, { ifAvailable: true }, async (mine) => {
      if (!mine) return false;
      let settled = false;
      for (const { key } of await this.waiting()) {
        const one = await this.store.find(key); // as it is now: signing out may have dropped it meanwhile
        if (one?.state !== "waiting" || one.phone !== (await this.store.get("phone"))) continue;
        try {
          await this.#sendOne(one);
          await this.store.put({ ...one, state: "sent", body: null, at: new Date().toISOString() });
          settled = true;
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          if (!isFinal(error)) break;
          settled = true;
        }
      }
      return settled;
    });
  }

  /**
   * Another answer to this question goes another way, so what was not sent goes none.
   * @param {string} child @param {string} purpose
   */
  async replace(child, purpose) {
    await navigator.locks.request(LOCK, async () => {
      for (const one of await this.#open(child, purpose)) await this.store.drop(one.key);
    });
  }

  /** @param {string} child @param {string} purpose */
  async #open(child, purpose) {
    return (await this.#own()).filter((one) => one.child === child && one.purpose === purpose && one.state !== "sent");
  }

  /** @param {string} key */
  forget(key) {
    return this.store.drop(key);
  }

  /**
   * What it did. Of one that was taken before, nobody can say that any more (`answer-lost`).
   * @param {import("./store.js").Waiting} one
   */
  async #sendOne(one) {
    try {
      const said = await this.client.write("POST", one.path, one.body, { key: one.key }).catch(lost);
      await this.store.drop(one.key);
      return said;
    } catch (error) {
      if (error instanceof Problem && isFinal(error)) await this.store.put({ ...one, state: "refused", body: null });
      throw error;
    }
  }
}

/** @param {unknown} error */
function lost(error) {
  if (error instanceof Problem && error.code === "answer-lost") return { consent: null, follows: [] };
  throw error;
}
