// @ts-check
/**
 * Answers on their way: saved while a parent goes through the questions, waiting while there is no network, sent once. Each has
 * the key of its wish from the beginning, so however often it is tried, it counts once.
 */

import { Offline, Problem } from "./protocol.js";

export class Answers {
  /** @param {import("./store.js").Store} store @param {import("./protocol.js").Client} client */
  constructor(store, client) {
    this.store = store;
    this.client = client;
  }

  /** @param {string} child @returns {Promise<import("./store.js").Waiting[]>} what was saved and not sent, one for each question */
  async drafts(child) {
    return (await this.store.waiting()).filter((one) => one.state === "draft" && one.child === child);
  }

  /** @returns {Promise<import("./store.js").Waiting[]>} */
  async waiting() {
    return (await this.store.waiting()).filter((one) => one.state !== "draft");
  }

  /**
   * Save an answer; it takes the place of one to the same question that was not sent, or not taken.
   * @param {string} child @param {string} purpose @param {string} path @param {any} body
   */
  async save(child, purpose, path, body) {
    const before = (await this.store.waiting()).filter((one) => one.child === child && one.purpose === purpose
      && ["draft", "refused"].includes(one.state));
    const draft = /** @type {import("./store.js").Waiting} */ (
      { key: crypto.randomUUID(), state: "draft", path, child, purpose, body, at: new Date().toISOString() });
    await this.store.put(draft);
    await Promise.all(before.map((one) => this.store.drop(one.key)));
    return draft;
  }

  /**
   * Send these answers, in their order. Without a network they wait.
   * @param {import("./store.js").Waiting[]} answers
   * @returns {Promise<any[] | null>} what each answer did, or null: they wait now
   */
  async send(answers) {
    for (const one of answers) await this.store.put({ ...one, state: "waiting" });
    return navigator.locks.request("chaperone-answers", async () => {
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

  /** Send what waits. Returns whether anything was sent. */
  async flush() {
    return navigator.locks.request("chaperone-answers", { ifAvailable: true }, async (mine) => {
      if (!mine) return false;
      let sent = false;
      for (const one of await this.waiting()) {
        if (one.state !== "waiting") continue;
        try {
          await this.#sendOne(one);
          await this.store.put({ ...one, state: "sent", body: null, at: new Date().toISOString() });
          sent = true;
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
        }
      }
      return sent;
    });
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
      const final = error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
      if (final) await this.store.put({ ...one, state: "refused", body: null });
      throw error;
    }
  }
}
