// @ts-check
/**
 * What stays on the phone: its key (which the browser gives to nobody), the refresh token, the language, the office to ring, and
 * answers that wait. Nothing that the school says about a child is ever kept.
 */

import { openDB } from "./vendor/idb/index.js";

/**
 * `phone`: the school's id of this phone, which is another one for each person who opens it. `turn`: which of all the answers that
 * were given here this is; the phone's clock, in `at`, may be put right between two.
 * @typedef {{key: string, phone: string, state: "draft" | "waiting" | "sent" | "refused", path: string, child: string,
 *   purpose: string, body: any, turn: number, at: string}} Waiting
 */

export class Store {
  /** @param {string} name */
  static async open(name = "chaperone") {
    const database = await openDB(name, 1, {
      upgrade(made) {
        made.createObjectStore("kept");
        made.createObjectStore("waiting", { keyPath: "key" });
      },
    });
    return new Store(database);
  }

  /** @param {import("./vendor/idb/index.js").IDBPDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @param {string} name @returns {Promise<any>} */
  get(name) {
    return this.database.get("kept", name);
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    return this.database.put("kept", value, name);
  }

  /** @param {...string} names */
  async forget(...names) {
    await Promise.all(names.map((name) => this.database.delete("kept", name)));
  }

  /** @returns {Promise<Waiting[]>} oldest first */
  async waiting() {
    const all = /** @type {Waiting[]} */ (await this.database.getAll("waiting"));
    return all.sort((one, other) => turnOf(one) - turnOf(other) || one.at.localeCompare(other.at));
  }

  /** @returns {Promise<number>} the turn of the answer that is given now */
  async nextTurn() {
    const change = this.database.transaction("kept", "readwrite");
    const turn = ((await change.store.get("turn")) ?? 0) + 1;
    await change.store.put(turn, "turn");
    await change.done;
    return turn;
  }

  /** @param {string} key @returns {Promise<Waiting | undefined>} */
  find(key) {
    return this.database.get("waiting", key);
  }

  /** @param {Waiting} answer */
  put(answer) {
    return this.database.put("waiting", answer);
  }

  /** @param {string} key */
  drop(key) {
    return this.database.delete("waiting", key);
  }

  /** Nothing is left of whoever signs out. What another parent answered on this phone is theirs, and stays. */
  async empty() {
    const phone = await this.get("phone");
    for (const one of await this.waiting()) if (one.phone === phone) await this.drop(one.key);
    await this.forget("refresh", "phone", "office", "seen");
  }
}

/** Answers that were kept by an older app have no turn, and come first. @param {Waiting} one */
export const turnOf = (one) => one.turn ?? 0;
