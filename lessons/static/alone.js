// @ts-check
/**
 * What the teacher is offered while the room is shut so that nobody is alone with one pupil (policy: RL1). The room opens by
 * itself; this page only asks, and shows what became of it. Of a one-to-one it says only whether its approval may hold again.
 */

import { find, maybe, pieces, say, show, write } from "./dom.js";

/**
 * @typedef {{request_id: string, at: string, status: string, seen: string[], by: string, words: string}} Asked
 * @typedef {{child: {id: string, name: string} | null, asked: Asked | null, approval: "" | "ended" | "missing",
 *   invited: {name: string, at: string}[], colleagues: {id: string, name: string, signed_in: boolean}[]}} Offers
 * @typedef {"lesson" | "breakout" | "one-to-one"} RoomKind
 */

const EVERY = 2000; // milliseconds
const STATUSES = { late: "The lesson's time is over.", withdrawn: "You took it back.", approved: "Approved. The lesson opens by itself." };
const MISSING = "A permission or a clearance is missing. Ask the office, not the pupil. It opens by itself when nothing is missing.";
const APPROVALS = {
  "one-to-one": { ended: "The approval has ended. It cannot start again.", missing: MISSING },
  lesson: { ended: "The approval for you and this pupil has ended. You cannot ask for it again in this lesson.", missing: MISSING },
};

export class Alone {
  #lesson;
  #shown = false;
  /** @type {RoomKind} */
  #kind = "lesson";
  #said = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;

  /** @param {() => string} lesson whose room this page is in */
  constructor(lesson) {
    this.#lesson = lesson;
  }

  /** @param {HTMLElement | null} place where to offer it; null: not now @param {{kind: RoomKind, name: string}} [room] */
  offer(place, { kind, name } = { kind: "lesson", name: "" }) {
    if (!place) return this.#stop();
    if (this.#shown && place.contains(this.#panel)) return undefined;
    this.#stop();
    place.replaceChildren(pieces("alone"));
    this.#shown = true;
    this.#kind = kind;
    write(find("[data-alone-room]"), kind === "breakout" ? name : "the lesson");
    show(maybe("[data-alone-back]"), kind === "breakout");
    this.#panel?.addEventListener("submit", (event) => { event.preventDefault(); void this.#sent(event.target); });
    return void this.#look();
  }

  get #address() {
    return `/lessons/${this.#lesson()}/alone`;
  }

  get #panel() {
    return maybe("[data-alone-panel]");
  }

  #stop() {
    clearTimeout(this.#again);
    this.#panel?.remove();
    this.#shown = false;
    this.#said = "";
  }

  async #look() {
    clearTimeout(this.#again);
    const address = this.#address;
    const told = await fetch(address, { headers: { accept: "application/json", "chaperone-background": "yes" } })
      .then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
    if (!this.#shown) return;
    if (told && address === this.#address) this.#draw(told);
    this.#again = setTimeout(() => void this.#look(), EVERY);
  }

  /** @param {Offers} told */
  #draw({ child, asked, approval, invited, colleagues }) {
    const panel = this.#panel;
    if (!panel) return;
    const ofClass = this.#kind !== "one-to-one";
    const decided = approval || (asked && ["waiting", "questioned", "approved"].includes(asked.status));
    show(find("[data-alone-ask]", panel), ofClass && Boolean(child) && !decided);
    if (child) write(find("[data-alone-pupil]", panel), child.name);
    const of = APPROVALS[ofClass ? "lesson" : "one-to-one"];
    const words = [approval ? of[approval] : asked ? askedWords(asked) : "", ...invited.map((one) => `${one.name} was asked to join at ${one.at}.`)].filter(Boolean).join(" ");
    write(find("[data-alone-asked]", panel), words);
    if (words !== this.#said) say("status", words);
    this.#said = words;
    const more = find("[data-alone-more]", panel);
    show(more, asked?.status === "questioned");
    if (asked) find("a", more).setAttribute("href", `/one-to-one/${asked.request_id}`);
    const list = find("select", panel);
    const offered = colleagues.map((one) => `${one.id} ${one.signed_in}`).join();
    if (list.dataset.offered !== offered) fill(list, colleagues);
    list.dataset.offered = offered;
    show(find("[data-alone-invite]", panel), ofClass && colleagues.length > 0);
    show(find("[data-alone-nobody]", panel), ofClass && colleagues.length === 0);
  }

  /** @param {EventTarget | null} form */
  async #sent(form) {
    if (!(form instanceof HTMLFormElement)) return;
    const problem = find("[data-problem]", form);
    const given = Object.fromEntries(new FormData(form));
    const button = find("button", form);
    button.setAttribute("aria-disabled", "true");
    const answer = await fetch(`${this.#address}/${form.dataset.to}`, {
      method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(given),
    }).catch(() => null);
    button.removeAttribute("aria-disabled");
    const trouble = answer?.ok ? "" : await words(answer);
    write(problem, trouble);
    show(problem, trouble !== "");
    const field = form.querySelector("textarea, select");
    if (trouble && field instanceof HTMLElement) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return;
    }
    field?.removeAttribute("aria-invalid");
    await this.#look();
    maybe("[data-alone-asked]")?.focus();
  }
}

/** @param {Asked} asked */
function askedWords({ at, status, seen, by, words: told }) {
  const was = `You asked a senior leader at ${at}.`;
  if (status === "refused") return `${by} did not approve it: ${told}`;
  if (status === "questioned") return `${was} ${by} asks: ${told}`;
  if (status !== "waiting") return STATUSES[/** @type {keyof typeof STATUSES} */ (status)] ?? "";
  return `${was} ${seen.length ? `Seen by ${seen.join(" and ")}.` : "Nobody has seen it yet."}`;
}

/** @param {HTMLElement} list @param {Offers["colleagues"]} colleagues */
function fill(list, colleagues) {
  if (!(list instanceof HTMLSelectElement)) return;
  const chosen = list.value;
  const blank = new Option("Choose a colleague", "");
  list.replaceChildren(blank, ...colleagues.map((one) => new Option(one.signed_in ? `${one.name}, signed in now` : one.name, one.id)));
  list.value = colleagues.some((one) => one.id === chosen) ? chosen : "";
}

/** @param {Response | null} answer */
async function words(answer) {
  if (!answer) return "We could not reach school. Try again.";
  const problem = await answer.json().catch(() => ({}));
  const fields = Object.values(problem.errors ?? {});
  return String(fields[0] ?? problem.detail ?? "Something went wrong. Try again.");
}
