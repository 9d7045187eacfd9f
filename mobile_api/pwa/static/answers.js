// @ts-check
/**
 * Answers on their way: saved while a parent goes through the questions, waiting while there is no network, sent once. Each has
 * the key of its wish from the beginning, so however often it is tried, it counts once.
 */

import { Offline, Problem } from "./protocol.js";

const LOCK = "chaperone-answers";

/** Whether asking again is no use. @param {Problem} problem */
const isFinal = ({ status }) => status >= 400 && status < 500 && status !== 429;

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
        at: new Date().toISOString() });
    await this.store.put(draft); // before anything is waited for
    await navigator.locks.request(LOCK, async () => {
      const before = (await this.#unsent(child, purpose)).filter((one) => one.key !== draft.key && one.at <= draft.at);
      for (const one of before) await this.store.drop(one.key);
    });
    return draft;
  }

  /**
   * Send these answers, in their order. Without a network they wait.
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
          if (!(error instanceof Problem)) throw error;
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
      for (const one of await this.#unsent(child, purpose)) await this.store.drop(one.key);
    });
  }

  /** @param {string} child @param {string} purpose */
  async #unsent(child, purpose) {
    return (await this.#own()).filter((one) => one.child === child && one.purpose === purpose && one.state !== "sent");
  }

  /** @param {string} key */
  forget(key) {
    return this.store.drop(key);
  }

  /** @param {import("./store.js").Waiting} one */
  async #sendOne(one) {
    try {
      const said = await this.client.write("POST", one.path, one.body, { key: one.key });
      await this.store.drop(one.key);
      return said;
    } catch (error) {
      if (error instanceof Problem && isFinal(error)) await this.store.put({ ...one, state: "refused", body: null });
      throw error;
    }
  }
}
