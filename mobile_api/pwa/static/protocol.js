// @ts-check
/**
 * The school's API (`docs/mobile-api.md`): signed requests, tokens that renew themselves, errors as values that pages can say.
 * No DOM here, and nothing that was read is kept but in memory.
 */

import { phoneKey, proof } from "./keys.js";

const API = "/api/v1";
/** Seconds for which a lost answer to a renewal may be asked for again; afterwards asking would look like a thief's copy. */
const FORGIVEN = 9;

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

/** Nobody answered. */
export class Offline extends Error {}

/** Who is here has to be shown again. */
export class SignedOut extends Error {}

export class Client {
  /** @type {{token: string, until: number} | null} */
  #access = null;
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
   * @param {{key?: string, match?: string}} how `key`: of a wish that may be tried again; `match`: a path whose state was read
   * @returns {Promise<any>}
   */
  async write(method, path, body = undefined, { key = crypto.randomUUID(), match = "" } = {}) {
    const tag = this.#read.get(match)?.tag;
    const headers = { "idempotency-key": key, ...(tag ? { "if-match": tag } : {}) };
    const answer = await this.#signed(method, path, { body, headers });
    this.#read.clear();
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
      const answer = await this.#send(method, path, { ...how, token: await this.#token() });
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
    await navigator.locks.request("chaperone-refresh", () => this.#renew());
    return /** @type {{token: string, until: number} | null} */ (this.#access)?.token ?? "";
  }

  async #renew() {
    const kept = await this.store.get("refresh");
    if (!kept || (kept.asked && Date.now() - kept.asked > 1000 * FORGIVEN)) {
      await this.lock();
      throw new SignedOut();
    }
    if (!navigator.onLine) throw new Offline();
    const locks = this.#locks;
    await this.store.set("refresh", { ...kept, asked: kept.asked ?? Date.now() });
    const answer = await this.#send("POST", "/tokens/refresh", { body: { refresh_token: kept.token }, proves: true });
    const said = answer.ok ? await answer.json() : null;
    if (locks !== this.#locks) {
      await this.lock(); // it was locked meanwhile, and what came too late opens nothing
      throw new SignedOut();
    }
    if (said) return this.#keep(said);
    if (answer.status === 429) await this.store.set("refresh", { token: kept.token });
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
      const answer = await fetch(url, {
        method, headers: sent, body: body === undefined ? null : JSON.stringify(body), cache: "no-store", credentials: "omit",
        redirect: "error",
      }).catch(() => {
        throw new Offline();
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
