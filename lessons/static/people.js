// @ts-check
/** Who is here, in words: the People tab, hands in order, and what staff may do with one pupil. */

import { arrangeChildren, ask, dialogOf, find, maybe, piece, show, write } from "./dom.js";
import { isAdult, roleWords } from "./words.js";

/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Person} Person */
/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */

export class People {
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** @type {Map<string, HTMLElement>} */
  #hands = new Map();
  /** @type {State | null} */
  #state = null;
  #me = "";
  #list = find("[data-people]");
  #send;
  #staff;
  #mayModerate;

  /** @param {{send: Send, staff: boolean, mayModerate: boolean}} given */
  constructor({ send, staff, mayModerate }) {
    this.#send = send;
    this.#staff = staff;
    this.#mayModerate = mayModerate;
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  /** @param {State} state @param {string} me */
  setState(state, me) {
    this.#state = state;
    this.#me = me;
    const people = [...state.people].sort((a, b) => Number(isAdult(b)) - Number(isAdult(a)) || a.name.localeCompare(b.name));
    arrangeChildren(this.#list, people.map((person) => this.#row(person)));
    this.#drawHands(people.filter((person) => person.hand !== null).sort((a, b) => (a.hand ?? 0) - (b.hand ?? 0)));
  }

  /** @param {Person} person */
  #row(person) {
    const row = this.#rows.get(person.person) ?? piece("person-row");
    this.#rows.set(person.person, row);
    row.dataset.for = person.person;
    write(find("[data-name]", row), person.person === this.#me ? `${person.name} (you)` : person.name);
    write(find("[data-facts]", row), this.#facts(person));
    show(row.querySelector("[data-person-do]"), this.#mayModerate && !isAdult(person));
    write(find("[data-menu-words]", row), `Menu for ${person.name}`);
    return row;
  }

  /** @param {Person} person */
  #facts(person) {
    const role = isAdult(person) ? roleWords(person.role) : "";
    const beside = { "grown-up": "a grown-up is beside them", sibling: "somebody is beside them", nobody: "" };
    const staffOnly = this.#staff && !isAdult(person)
      ? [`camera ${person.camera ? "on" : "off"}`, `microphone ${person.microphone ? "on" : "off"}`,
        person.camera_stopped ? "camera stopped" : "", Object.entries(beside).find(([key]) => key === person.beside)?.[1] ?? "",
        person.connected ? "" : "connection problem"]
      : [];
    return [role, ...staffOnly, person.hand === null ? "" : "hand up"].filter(Boolean).join(", ");
  }

  /** @param {Person[]} up */
  #drawHands(up) {
    show(find("[data-hands]"), this.#staff && up.length > 0);
    write(find("[data-hands-heading]"), `Hands up (${up.length})`);
    arrangeChildren(find("[data-hands-list]"), up.map((person) => {
      const row = this.#hands.get(person.person) ?? piece("hand-row");
      this.#hands.set(person.person, row);
      row.dataset.for = person.person;
      write(find("[data-name]", row), person.name);
      write(find("[data-menu-words]", row), ` ${person.name}'s hand`);
      show(row.querySelector("[data-lower]"), this.#mayModerate);
      return row;
    }));
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("[data-person-do], [data-lower]");
    const person = button?.closest("[data-for]")?.getAttribute("data-for");
    if (!(button instanceof HTMLElement) || !person) return;
    if (button.matches("[data-lower]")) this.#send({ type: "lower_hand", person });
    else this.#openMenu(person, button);
  }

  // ---- what staff may do with one pupil -------------------------------------------------------------------------

  /** @param {string} id @param {HTMLElement} button */
  #openMenu(id, button) {
    const person = this.#state?.people.find((known) => known.person === id);
    const menu = find("[data-person-menu]");
    if (!person) return;
    menu.setAttribute("aria-label", person.name);
    menu.replaceChildren(...this.#acts(person).map(([words, act]) => {
      const item = document.createElement("button");
      Object.assign(item, { type: "button", className: "x-menu__item", textContent: words });
      item.onclick = () => { menu.hidePopover(); act(); };
      return item;
    }));
    openBeside(menu, button);
  }

  /** @param {Person} person @returns {[string, () => void][]} */
  #acts(person) {
    const { person: id, name } = person;
    /** @param {string} type */
    const send = (type) => () => void this.#send({ type, person: id });
    /** @type {[string, () => void, boolean][]} */
    const acts = [
      ["Stop this camera", send("stop_camera"), !person.camera_stopped],
      ["Allow camera", send("allow_camera"), Boolean(person.camera_stopped)],
      ["Mute", send("mute"), person.microphone],
      [`Ask ${name} to unmute`, send("ask_to_unmute"), !person.microphone],
      ["Lower hand", send("lower_hand"), person.hand !== null],
      ["Show to class", send("show_share"), person.screen && person.sharing === "staff"],
      ["Stop sharing", send("stop_share"), person.screen],
      ["Allow share", send("allow_share"), !person.may_share],
      ["Remove", () => void this.#remove(person), true],
    ];
    return acts.filter(([, , offered]) => offered).map(([words, act]) => [words, act]);
  }

  /** @param {Person} person */
  async #remove({ person, name }) {
    const dialog = dialogOf("remove");
    if (!dialog) return;
    const pupils = this.#state?.people.filter((known) => !isAdult(known)).length ?? 0;
    const adults = (this.#state?.people.length ?? 0) - pupils;
    write(find("[data-remove-heading]", dialog), `Remove ${name}?`);
    write(find("[data-remove-words]", dialog), `${name} cannot come back into this lesson.`);
    show(find("[data-remove-pauses]", dialog), pupils === 2 && adults === 1);
    if (!(await ask(dialog))) return;
    const form = dialog.querySelector("form");
    this.#send({ type: "remove", person, reason: form ? String(new FormData(form).get("reason") ?? "other") : "other" });
  }
}

/** Open a menu next to the button that asked for it, inside the window. @param {HTMLElement} menu @param {HTMLElement} button */
export function openBeside(menu, button) {
  menu.togglePopover(true);
  const near = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const above = near.top - size.height - 4;
  const top = near.bottom + size.height + 4 < innerHeight ? near.bottom + 4 : Math.max(4, above);
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(4, Math.min(near.left, innerWidth - size.width - 4))}px`;
  maybe("button:not([hidden])", menu)?.focus();
  menu.addEventListener("toggle", (event) => {
    if (event instanceof ToggleEvent && event.newState === "closed" && document.activeElement === document.body) button.focus();
  }, { once: true });
}

