// @ts-check
/**
 * What stays on the phone: its key (which the browser gives to nobody), the refresh token, the language, the office to ring, and
 * answers that wait. Nothing that the school says about a child is ever kept.
 */

import { openDB } from "./vendor/idb/index.js";

/**
 * `phone`: the school's id of this phone, which is another one for each person who opens it.
 * @typedef {{key: string, phone: string, state: "draft" | "waiting" | "sent" | "refused", path: string, child: string,
 *   purpose: string, body: any, at: string}} Waiting
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
    return all.sort((one, other) => one.at.localeCompare(other.at));
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

  async empty() {
    await this.database.clear("waiting");
    await this.forget("refresh", "phone", "office", "seen");
  }
}
