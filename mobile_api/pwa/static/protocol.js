// @ts-check
/**
 * The school's API (`docs/mobile-api.md`): signed requests, tokens that renew themselves, errors as values that pages can say.
 * No DOM here, and nothing that was read is kept but in memory.
 */

import { phoneKey, proof } from "./keys.js";

const API = "/api/v1";
/** Seconds for which a lost answer to a renewal may be asked for again, and how often it may be asked for at all: later, or once
 * more, asking would look like a thief's copy. */
const FORGIVEN = 9;
const TRIES = 2;

/** The server's refusal (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.code ?? String(status));
    this.status = status;
    this.code = String(body?.code ?? "");
    /** @type {Record<string, string>} */
    this.fields = body?.errors ?? {};
  }
}

/** Nobody answered: what was asked may have arrived all the same. */
export class Offline extends Error {}

/** Nobody answered, and what was to be written has not left this phone. */
export class Unsent extends Offline {}

/** Who is here has to be shown again. */
export class SignedOut extends Error {}

/** What a form wishes: the same key for as long as it wishes the same, so that what may have arrived is done once. */
export class Wish {
  #said = "";
  #key = "";

  /** @param {any} body */
  key(body) {
    const said = JSON.stringify(body);
    if (said !== this.#said) [this.#said, this.#key] = [said, crypto.randomUUID()];
    return this.#key;
  }
}

export class Client {
  /** @type {{token: string, until: number} | null} */
  #access = null;
  /** @type {Promise<unknown> | null} */
  #renewal = null;
  #nonce = "";
  #locks = 0;
  /** @type {Map<string, {tag: string, body: any}>} */
  #read = new Map();

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
  }

  /** Whether this phone may try without asking who is here. */
  async isSignedIn() {
    return this.#access !== null || Boolean(await this.store.get("refresh"));
  }

  /** @param {string} path @returns {Promise<any>} */
  async read(path) {
    const known = this.#read.get(path);
    const answer = await this.#signed("GET", path, known ? { headers: { "if-none-match": known.tag } } : {});
    if (answer.status === 304 && known) return known.body;
    const body = await taken(answer);
    this.#read.set(path, { tag: answer.headers.get("etag") ?? "", body });
    return body;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {any} body
   * @param {{wish?: Wish, key?: string, match?: string}} how `wish`, `key`: of what may be tried again; `match`: a path whose
   *   state was read
   * @returns {Promise<any>}
   */
  async write(method, path, body = undefined, { wish = new Wish(), key = wish.key(body), match = "" } = {}) {
    const tag = this.#read.get(match)?.tag;
    const headers = { "idempotency-key": key, ...(tag ? { "if-match": tag } : {}) };
    const answer = await this.#signed(method, path, { body, headers });
    if (answer.ok) this.#read.clear();
    return taken(answer);
  }

  /**
   * A step of getting in, before anybody is signed in. `proves`: it ends in tokens, which are kept.
   * @param {string} path
   * @param {any} body
   * @param {boolean} proves
   * @returns {Promise<any>}
   */
  async enter(path, body = {}, proves = false) {
    const said = await taken(await this.#send("POST", path, { body, proves }));
    if (proves) await this.#keep(said);
    return said;
  }

  /**
   * What opens a line that is no request: a token, and the proof for it with the nonce that the line gave.
   * @param {string} path @param {string} nonce
   */
  async shows(path, nonce) {
    const token = await this.#token();
    return { token, proof: await proof(await phoneKey(this.store), { method: "GET", url: location.origin + API + path, nonce, token }) };
  }

  /** Forget what lets this phone in. Its key stays: it is the same phone when its owner comes back. */
  async lock() {
    this.#locks += 1;
    this.#access = null;
    this.#read.clear();
    await this.store.forget("refresh");
  }

  /** @param {string} method @param {string} path @param {{body?: any, headers?: Record<string, string>}} how */
  async #signed(method, path, how) {
    for (let tries = 0; ; tries += 1) {
      const token = await this.#token().catch((error) => {
        throw error instanceof Offline ? (method === "GET" ? new Offline() : new Unsent()) : error;
      });
      const answer = await this.#send(method, path, { ...how, token });
      if (answer.status !== 401) return answer;
      this.#access = null;
      if (tries > 0) {
        await this.lock();
        throw new SignedOut();
      }
    }
  }

  async #token() {
    if (this.#access && performance.now() < this.#access.until) return this.#access.token;
    this.#renewal ??= navigator.locks.request("chaperone-refresh", () => this.#renew()).finally(() => { this.#renewal = null; });
    await this.#renewal; // the same for all who ask meanwhile, so that it is one try
    return /** @type {{token: string, until: number} | null} */ (this.#access)?.token ?? "";
  }

  async #renew() {
    const kept = await this.store.get("refresh");
    if (!kept || kept.tries >= TRIES || (kept.asked && Date.now() - kept.asked > 1000 * FORGIVEN)) {
      await this.lock();
      throw new SignedOut();
    }
    if (!navigator.onLine) throw new Offline();
    const locks = this.#locks;
    await this.store.set("refresh", { ...kept, asked: kept.asked ?? Date.now(), tries: (kept.tries ?? 0) + 1 });
    const answer = await this.#send("POST", "/tokens/refresh", { body: { refresh_token: kept.token }, proves: true });
    const said = answer.ok ? await answer.json() : null;
    if (locks !== this.#locks) {
      await this.lock(); // it was locked meanwhile, and what came too late opens nothing
      throw new SignedOut();
    }
    if (said) return this.#keep(said);
    if (answer.status === 429) await this.store.set("refresh", kept); // it was not looked at, so it was no try
    if (answer.status === 429 || answer.status >= 500) throw new Problem(answer.status, null);
    await this.lock();
    throw new SignedOut();
  }

  /** @param {any} tokens */
  async #keep(tokens) {
    this.#access = { token: tokens.access_token, until: performance.now() + 1000 * (tokens.expires_in - 30) };
    await this.store.set("refresh", { token: tokens.refresh_token });
    await this.store.set("phone", tokens.phone.id);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{body?: any, headers?: Record<string, string>, token?: string, proves?: boolean}} how
   * @returns {Promise<Response>}
   */
  async #send(method, path, { body, headers = {}, token, proves }) {
    const url = new URL(API + path, location.origin);
    const bare = url.origin + url.pathname;
    for (let tries = 0; ; tries += 1) {
      /** @type {Record<string, string>} */
      const sent = { accept: "application/json", ...headers };
      if (body !== undefined) sent["content-type"] = "application/json";
      if (token) sent.authorization = `DPoP ${token}`;
      if (token || proves) sent.dpop = await proof(await phoneKey(this.store), { method, url: bare, nonce: this.#nonce, token });
      const unsent = method !== "GET" && !navigator.onLine;
      const answer = await fetch(url, {
        method, headers: sent, body: body === undefined ? null : JSON.stringify(body), cache: "no-store", credentials: "omit",
        redirect: "error",
      }).catch(() => {
        throw unsent ? new Unsent() : new Offline();
      });
      this.#nonce = answer.headers.get("dpop-nonce") ?? this.#nonce;
      const stale = answer.status === 401 && answer.headers.get("www-authenticate")?.includes("use_dpop_nonce");
      if (!stale || tries > 0) return answer;
    }
  }
}

/** @param {Response} answer */
async function taken(answer) {
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}
