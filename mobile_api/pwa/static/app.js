// @ts-check
/** The parents' app: what it has (words, store, client), which page is shown, and when it locks itself. */

import { Answers } from "./answers.js";
import { watchCalls } from "./incoming.js";
import { frame } from "./frame.js";
import { isInstalled } from "./phone.js";
import { Client, Offline, Problem, SignedOut, Unsent } from "./protocol.js";
import { found } from "./routes.js";
import { Store } from "./store.js";
import { Words } from "./words.js";
import { watchIdle } from "./idle.js";

/**
 * A page: its title is its h1 unless it brings one. `tab`: which part of the app it is in; `again`: seconds until it is drawn
 * anew; `alone`: without the tabs.
 * @typedef {{title: string, caption?: string, back?: string, parts: (import("./dom.js").Part)[], tab?: string, again?: number,
 *   bare?: boolean, alone?: boolean, exit?: boolean, name?: string}} Page
 */

/** Milliseconds. An answer waits also where there is a network: the school was busy, or started anew. */
const SENDS_EVERY = 30_000;

export class App {
  /** @type {any} */
  me = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #shown = 0;
  /** Whether the school rings, or somebody talks to it: then nobody is idle. */
  isInCall = false;
  /** Whenever who is signed in may have changed: another page is here, or they left. */
  drawn = () => {};
  /** The invitation that is being used, and what one page leaves for the next: never kept. @type {Record<string, any>} */
  joining = {};

  /** @param {Store} store @param {Words} words @param {{edition: string, languages: {code: string, name: string, dir: string}[]}} shell */
  constructor(store, words, shell) {
    this.store = store;
    this.words = words;
    this.shell = shell;
    this.client = new Client(store);
    this.answers = new Answers(store, this.client);
    this.t = words.t.bind(words);
  }

  /** Who is signed in, asked again only when something may have changed. @param {boolean} again @returns {Promise<any>} */
  async who(again = false) {
    if (!this.me || again) {
      this.me = await this.client.read("/me");
      this.words.zone = this.me.zone;
      await this.store.set("office", this.me.office);
    }
    return this.me;
  }

  /** Whom to ring, also when there is no network. @returns {Promise<string>} */
  async office() {
    return (await this.store.get("office")) ?? this.t("office");
  }

  /** @param {string} id @returns {Promise<{id: string, name: string}>} */
  async child(id) {
    const one = (await this.who()).children.find((/** @type {any} */ each) => each.id === id);
    if (!one) throw new Problem(404, { code: "not-found" });
    return one;
  }

  /** @param {string} path @param {boolean} replace */
  async go(path, replace = false) {
    history[replace ? "replaceState" : "pushState"](null, "", path);
    await this.show();
  }

  /** Draw the page of this address. @param {boolean} quiet drawn anew: focus and place stay */
  async show(quiet = false) {
    clearTimeout(this.#again);
    const turn = (this.#shown += 1);
    globalThis.speechSynthesis?.cancel();
    const page = await this.#made();
    if (turn !== this.#shown || !page) return;
    frame(this, page, quiet);
    this.drawn();
    if (page.again) this.#again = setTimeout(() => document.hidden || this.show(true), 1000 * page.again);
  }

  /** @returns {Promise<Page | null>} */
  async #made() {
    const path = hasLetter() ? "/m/welcome" : location.pathname;
    try {
      const { view, open, params } = found(path);
      if (!open && !(await this.client.isSignedIn())) return await this.signIn();
      if (!open && this.mustAgree(await this.who(), path)) {
        await this.go("/m/agreement", true);
        return null;
      }
      return await view(this, params);
    } catch (error) {
      if (error instanceof SignedOut) return this.signIn();
      if (error instanceof Offline) return found("/m/offline").view(this, {});
      if (error instanceof Problem && error.code === "agreement-due") {
        await this.go("/m/agreement", true);
        return null;
      }
      if (error instanceof Problem && error.status === 404) return this.missing();
      return found("/m/wrong").view(this, {});
    }
  }

  /** What is missing and what is not for this person to know. @returns {Promise<Page>} */
  async missing() {
    return found("/m/wrong").view(this, { kind: "missing" });
  }

  /** @returns {Promise<Page>} */
  async signIn() {
    this.leave();
    const known = isInstalled() || (await this.store.get("phone")); // put on a home screen: the passkey is there already
    return found(known ? "/m/sign-in" : "/m/welcome").view(this, {});
  }

  /** @param {any} me @param {string} path */
  mustAgree(me, path) {
    return me.agreement === "not_signed" && !["/m/welcome/notices", "/m/agreement", "/m/language", "/m/phones", "/m/concern",
      "/m/concern/sent", "/m/more"].includes(path);
  }

  /** What went wrong, for the top of a form. @param {unknown} error @returns {string} */
  failed(error) {
    const { words } = /** @type {any} */ (error); // a page may say better what is wrong
    if (words) return words;
    if (error instanceof SignedOut) this.show();
    if (error instanceof Unsent) return this.t("error.offline");
    if (!(error instanceof Problem) || error.status >= 500 || error.code === "under-way") return this.t("error.unsure");
    if (error.code === "answer-lost") return this.t("error.done");
    if (error.code === "agreement-due") {
      this.who(true).then(() => this.show(), () => this.show());
      return this.t("home.agreement");
    }
    if (error.code === "may-not-answer") return this.t("cannot.title", { office: this.me.office });
    if (error.code === "too-many-tries") return this.t("error.tries");
    return this.t(error.status === 429 ? "error.often" : "error.wrong");
  }

  /** Send what waits, if that can be done now. @returns {Promise<boolean>} whether anything became of it */
  async sendWaiting() {
    try {
      return (await this.client.isSignedIn()) && (await this.answers.flush());
    } catch (error) {
      if (!(error instanceof Offline || error instanceof SignedOut)) throw error;
      return false;
    }
  }

  /** Screen away, tokens away. */
  async lock() {
    if (!(await this.client.isSignedIn())) return;
    await this.client.lock();
    this.leave();
    await this.show();
  }

  /** Nothing of whoever was here is left for who comes next, also not what they declared; but a letter is whose it is. */
  leave() {
    const { token, invitation } = this.joining;
    this.me = null;
    this.joining = token ? { token, invitation } : {};
    this.drawn();
  }

  /**
   * Where the school serves a newer app by now there are no words for this one: then that one is opened, which speaks it.
   * @param {string} code
   */
  async choose(code) {
    await this.store.set("language", code);
    try {
      if (document.documentElement.dataset.old) throw new Problem(404, null);
      await this.speak(code);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      if (this.joining.token) history.replaceState(null, "", `/m/welcome#i=${this.joining.token}`); // nothing else knows the letter
      location.reload();
      await new Promise(() => {}); // this page is over
    }
  }

  /** @param {string} code */
  async speak(code) {
    this.words = new Words(await catalogue(this.shell.edition, code));
    if (this.me) this.words.zone = this.me.zone;
    this.t = this.words.t.bind(this.words);
    await this.store.set("language", code);
    document.documentElement.lang = code;
    document.documentElement.dir = this.words.meta.dir;
  }
}

/** Whether the address is a letter's, which begins anew also on a phone that somebody used before. */
const hasLetter = () => new URLSearchParams(location.hash.slice(1)).has("i");

/** @param {string} edition @param {string} code */
async function catalogue(edition, code) {
  const answer = await fetch(`/m/files/${edition}/words/${code}.json`);
  if (!answer.ok) throw new Problem(answer.status, null);
  return answer.json();
}

/** @param {string} edition */
async function keepShell(edition) {
  const trusted = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("chaperone", {
    createScriptURL: (/** @type {string} */ url) => (url === "/m/sw.js" ? url : ""),
  });
  const kept = await navigator.serviceWorker?.register(trusted?.createScriptURL("/m/sw.js") ?? "/m/sw.js", { scope: "/m/" });
  navigator.serviceWorker?.addEventListener("message", (event) => {
    // A newer app took over: this page goes on as it is, and its next address is drawn by the new one.
    if (event.data?.edition && event.data.edition !== edition) document.documentElement.dataset.old = "true";
  });
  document.addEventListener("visibilitychange", () => document.hidden || kept?.update().catch(() => {}));
}

async function start() {
  const edition = document.documentElement.dataset.edition ?? "";
  const languages = JSON.parse(document.getElementById("languages")?.textContent ?? "[]");
  const store = await Store.open();
  const code = (await store.get("language")) ?? "en";
  const known = languages.some((/** @type {any} */ one) => one.code === code) ? code : "en";
  const app = new App(store, new Words(await catalogue(edition, known)), { edition, languages });
  await app.speak(known);
  document.addEventListener("click", (event) => {
    const anchor = /** @type {Element} */ (event.target).closest?.("a[href^='/m/']");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!anchor || !plain || document.documentElement.dataset.old) return;
    event.preventDefault();
    app.go(anchor.getAttribute("href") ?? "/m/");
  });
  addEventListener("popstate", () => app.show());
  addEventListener("online", () => back(app));
  setInterval(() => document.hidden || flush(app), SENDS_EVERY);
  await watchIdle(app);
  watchCalls(app);
  await app.show();
  await flush(app);
  if ("serviceWorker" in navigator) keepShell(edition).catch(() => {});
  document.documentElement.dataset.ready = "true";
}

/** What waits is sent, and shown as sent: but nobody's half-written words are drawn over. @param {App} app */
async function flush(app) {
  if (!(await app.sendWaiting())) return false;
  await app.who(true).catch(() => {}); // what is wrong is said by the page
  if (!document.querySelector("#main [data-begun]")) await app.show(true);
  return true;
}

/** There is a network again. @param {App} app */
async function back(app) {
  if (!(await flush(app)) && document.documentElement.dataset.page === "offline") await app.show();
}

start();
