// @ts-check
/**
 * Breakout rooms, for those who run the lesson: a bar for each room wherever one is, who goes where, and everybody back.
 * What may be opened is decided by the school's server; what it refuses is said in its own words (policy: RL1).
 */

import { all, arrangeChildren, dialogOf, drawing, find, mark, maybe, piece, say, show, write } from "./dom.js";
import { roomWords } from "./words.js";

/** @typedef {import("./messages.js").Move} Move */
/** @typedef {import("./messages.js").Rooms} Rooms */
/** @typedef {{id: string, name: string, here: boolean}} Somebody */
/** @typedef {{lesson: string, name: string, adults: string[], pupils: string[]}} Wanted */
/** @typedef {{open: boolean, rooms: Wanted[], adults: Somebody[], pupils: Somebody[]}} Arrangement */

const FAILED = "We could not reach school. Check the Wi-Fi, then try again.";

export class Breakouts {
  #address;
  #here;
  #go;
  #dialog = dialogOf("breakouts");
  /** @type {Rooms} */
  #rooms = { rooms: [], pupils: [] };
  /** @type {Arrangement} */
  #wanted = { open: false, rooms: [], adults: [], pupils: [] };
  /** @type {Map<string, HTMLElement>} */
  #lines = new Map();

  /** @param {{main: string, here: () => string, go: (place: Move) => void}} given `here`: the room this page is in */
  constructor({ main, here, go }) {
    this.#address = `/lessons/${main}/breakouts`;
    this.#here = here;
    this.#go = go;
    const form = find("[data-breakouts-form]");
    form.addEventListener("submit", (event) => { event.preventDefault(); void this.#openRooms(); });
    form.addEventListener("change", (event) => void this.#changed(event.target));
    form.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.dataset.answer) this.#dialog?.close();
      else if (button?.dataset.breakouts === "close") void this.bringBack();
      else if (button?.dataset.breakouts) this.#resize(button.dataset.breakouts === "add" ? 1 : -1);
    });
  }

  /** @param {Rooms} rooms as they are now */
  setRooms(rooms) {
    const before = new Map(this.#rooms.rooms.map((line) => [line.lesson, line]));
    this.#rooms = rooms;
    show(find("[data-rooms]"), rooms.rooms.length > 0);
    for (const gone of this.#lines.keys()) if (!rooms.rooms.some((line) => line.lesson === gone)) this.#lines.delete(gone);
    arrangeChildren(find("[data-rooms-lines]"), rooms.rooms.map((line) => this.#line(line)));
    for (const line of rooms.rooms) {
      if (line.room === "held" && before.get(line.lesson)?.room === "open") say("alert", `${line.name}. ${roomWords(line).state}`);
    }
    if (this.#dialog?.open && this.#wanted.open === rooms.rooms.length > 0) this.#drawPlaces();
    else if (this.#dialog?.open) void this.open();
  }

  /** The window in which rooms are arranged. */
  async open() {
    const found = await this.#ask("");
    if (!found) return;
    this.#wanted = found;
    this.#say(found.open || found.rooms.length ? "" : "Rooms need an adult and two pupils each. Add rooms, and choose a colleague or ask for a second adult.");
    this.#draw();
    if (!this.#dialog?.open) this.#dialog?.showModal();
  }

  async bringBack() {
    if ((await this.#ask("/close", {})) === null) return;
    this.#dialog?.close();
    say("status", "Everybody is coming back");
  }

  /** @param {import("./messages.js").RoomLine} line */
  #line(line) {
    const item = this.#lines.get(line.lesson) ?? piece("room-line");
    this.#lines.set(line.lesson, item);
    const words = roomWords(line);
    const isHere = line.lesson === this.#here();
    mark(item, "data-line", words.look);
    mark(item, "data-lesson", line.lesson);
    write(find("[data-name]", item), line.name);
    write(find("[data-line-state]", item), words.state);
    drawing(find(".x-state", item), words.shape);
    write(find("[data-line-people]", item), words.people);
    show(find("[data-line-here]", item), isHere);
    show(find("[data-line-go]", item), !isHere);
    write(find("[data-line-go-name]", item), line.name);
    find("[data-line-go]", item).onclick = () => this.#go({ lesson: line.lesson, name: line.name, is_main: line.lesson === this.#rooms.rooms[0]?.lesson });
    return item;
  }

  // ---- arranging -----------------------------------------------------------------------------------------------------

  #draw() {
    const { open, rooms } = this.#wanted;
    arrangeChildren(find("[data-breakouts-rooms]"), open ? [] : rooms.map((room, number) => this.#room(room, number)));
    show(find("[data-breakouts-count]"), !open);
    show(find("[data-breakouts-open]"), !open);
    show(find('[data-breakouts="close"]'), open);
    show(find('[data-breakouts="fewer"]'), rooms.length > 1);
    this.#drawPlaces();
  }

  /** @param {Wanted} room @param {number} number */
  #room(room, number) {
    const fields = piece("wanted-room");
    write(find("legend", fields), `Room ${number + 1}`);
    const name = find('[data-wanted="name"]', fields);
    if (name instanceof HTMLInputElement) name.value = room.name;
    name.oninput = () => { if (name instanceof HTMLInputElement) room.name = name.value; };
    const people = this.#wanted.adults.map(({ id, name: who, here }) => /** @type {[string, string]} */ ([id, here ? who : `${who} (not here yet)`]));
    const adult = this.#select('[data-wanted="adult"]', fields, [["", "Choose"], ...people], room.adults[0] ?? "");
    const second = this.#select('[data-wanted="second"]', fields, [["", "Nobody"], ...people], room.adults[1] ?? "");
    const chosen = () => { room.adults = [...[adult.value, second.value].filter(Boolean), ...room.adults.slice(2)]; };
    adult.onchange = second.onchange = chosen;
    return fields;
  }

  #drawPlaces() {
    const { open } = this.#wanted;
    const main = this.#rooms.rooms[0];
    /** @type {[string, string][]} */
    const choices = open
      ? this.#rooms.rooms.map((line) => [line.lesson === main?.lesson ? "" : line.lesson, line.lesson === main?.lesson ? "Main room" : line.name])
      : [["", "Main room"], ...this.#wanted.rooms.map((room, number) => /** @type {[string, string]} */ ([String(number), room.name || `Room ${number + 1}`]))];
    const rows = this.#wanted.pupils.map(({ id, name, here }) => {
      const now = this.#rooms.pupils.find((pupil) => pupil.person === id);
      const row = piece("place-row");
      write(find("[data-name]", row), name);
      show(find("[data-away]", row), open ? !now?.here : !here);
      const place = open ? (now?.lesson === main?.lesson ? "" : now?.lesson ?? "") : String(this.#wanted.rooms.findIndex((room) => room.pupils.includes(id)));
      this.#select("[data-place]", row, choices, place === "-1" ? "" : place).dataset.place = id;
      return row;
    });
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.place : undefined;
    arrangeChildren(find("[data-breakouts-pupils]"), rows);
    if (focused) maybe(`[data-place="${CSS.escape(focused)}"]`)?.focus();
  }

  /** @param {string} selector @param {HTMLElement} root @param {[string, string][]} choices @param {string} value */
  #select(selector, root, choices, value) {
    const select = find(selector, root);
    if (!(select instanceof HTMLSelectElement)) throw new Error("not a select");
    select.replaceChildren(...choices.map(([key, words]) => new Option(words, key, false, key === value)));
    return select;
  }

  /** @param {EventTarget | null} target */
  async #changed(target) {
    if (!(target instanceof HTMLSelectElement) || !target.dataset.place) return;
    const person = target.dataset.place;
    if (this.#wanted.open) {
      const done = await this.#ask("/move", { person, to: target.value });
      if (done !== null) this.#say("");
      return this.#drawPlaces();
    }
    this.#wanted.rooms.forEach((room, number) => {
      room.pupils = room.pupils.filter((pupil) => pupil !== person);
      if (String(number) === target.value) room.pupils.push(person);
    });
  }

  /** @param {number} by */
  #resize(by) {
    const { rooms } = this.#wanted;
    if (by > 0) rooms.push({ lesson: "", name: `Room ${rooms.length + 1}`, adults: [], pupils: [] });
    else rooms.pop();
    this.#draw();
  }

  async #openRooms() {
    if (this.#wanted.open) return;
    const rooms = this.#wanted.rooms.map(({ name, adults, pupils }) => ({ name, adults, pupils }));
    if ((await this.#ask("", { rooms })) === null) return;
    this.#dialog?.close();
    say("status", "The rooms are open");
  }

  // ---- asking the school ---------------------------------------------------------------------------------------------

  /** @param {string} path @param {object} [body] @returns {Promise<any>} null when it was refused, which is said */
  async #ask(path, body) {
    /** @type {RequestInit} */
    const how = body ? { method: "POST", body: JSON.stringify(body) } : {};
    try {
      const answer = await fetch(this.#address + path, { ...how, headers: { "Content-Type": "application/json", Accept: "application/json" }, cache: "no-store" });
      const found = await answer.json();
      if (answer.ok) return found;
      this.#say(found.errors ? [...new Set(Object.values(found.errors))].join(" ") : found.detail);
    } catch {
      this.#say(FAILED);
    }
    return null;
  }

  /** @param {string} words */
  #say(words) {
    write(find("[data-breakouts-words]"), words);
    if (words && this.#dialog?.open) all("[data-breakouts-words]")[0]?.scrollIntoView({ block: "nearest" });
    else if (words) say("alert", words);
  }
}
