// @ts-check
/**
 * The pictures and the sound of others. What the server no longer sends is taken off the page, not hidden or dimmed: a
 * paused room has no media element with a stream.
 */

import { arrange, columns, pageSize } from "./arrange.js";
import { all, arrangeChildren, find, mark, piece, say, show, write } from "./dom.js";
import { count, isAdult, tileName } from "./words.js";

/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Person} Person */
/** @typedef {import("./messages.js").Stream} Stream */
/** @typedef {import("./arrange.js").Place} Place */

const TABLET = 1100; // px of width below which a laptop's grid is too fine
const PHONE = 700;

export class Stage {
  /** @type {Map<string, HTMLElement>} */
  #tiles = new Map();
  /** @type {Map<string, HTMLAudioElement>} */
  #sounds = new Map();
  /** @type {Map<string, MediaStreamTrack>} */
  #tracks = new Map();
  /** @type {State | null} */
  #state = null;
  #page = 0;
  #me = "";
  #staff;
  #panelOpen;
  #ownPicture;
  #mayModerate;
  #speaker = "";
  #root = find("[data-stage]");
  #strip = find("[data-strip]");
  #off = find("[data-off-names]");
  #pages = find("[data-pages]");

  /**
   * @param {object} given
   * @param {boolean} given.staff
   * @param {boolean} given.mayModerate
   * @param {() => boolean} given.panelOpen
   * @param {() => MediaStreamTrack | null} given.ownPicture
   */
  constructor({ staff, mayModerate, panelOpen, ownPicture }) {
    this.#staff = staff;
    this.#mayModerate = mayModerate;
    this.#panelOpen = panelOpen;
    this.#ownPicture = ownPicture;
    find('[data-do="page-back"]').onclick = () => this.#turn(-1);
    find('[data-do="page-next"]').onclick = () => this.#turn(1);
    new ResizeObserver(() => this.draw()).observe(find(".x-stage"));
  }

  /** @param {Stream[]} streams */
  setStreams(streams) {
    this.#tracks = new Map(streams.map((stream) => [`${stream.source}-${stream.person}`, stream.track]));
    this.draw();
  }

  /** @param {State} state @param {string} me */
  setState(state, me) {
    this.#state = state;
    this.#me = me;
    this.draw();
  }

  /** @param {string} speaker device id */
  setSpeaker(speaker) {
    this.#speaker = speaker;
    for (const sound of this.#sounds.values()) void setSink(sound, speaker);
  }

  /** Show exactly what the room's state says; nothing unless it is open. */
  draw() {
    const state = this.#state;
    if (!state || state.room !== "open") return this.clear();
    const { stage, strip, off } = arrange(state, this.#me, this.#staff);
    const shown = this.#pageOf(stage);
    this.#keepOnly([...shown, ...strip]);
    this.#fill(this.#root, shown);
    this.#fill(this.#strip, strip);
    this.#layOut(shown);
    this.#nameOff(off, state);
    this.#play(state);
  }

  /** Take every picture and every sound off the page. */
  clear() {
    for (const tile of this.#tiles.values()) release(tile);
    this.#tiles.clear();
    for (const sound of this.#sounds.values()) silence(sound);
    this.#sounds.clear();
    this.#root.replaceChildren();
    this.#strip.replaceChildren();
    show(this.#off, false);
    show(this.#pages, false);
  }

  /** @param {Set<string>} people */
  showSpeaking(people) {
    for (const tile of this.#tiles.values()) {
      const speaks = people.has(tile.dataset.for ?? "") && tile.dataset.kind === "camera";
      tile.classList.toggle("x-tile--speaking", speaks);
      show(tile.querySelector('[data-mark="speaking"]'), speaks);
    }
  }

  // ---- where ----------------------------------------------------------------------------------------------------

  /** @param {Place[]} places */
  #pageOf(places) {
    const size = pageSize(device(), this.#panelOpen());
    const last = Math.max(0, Math.ceil(places.length / size) - 1);
    this.#page = Math.min(this.#page, last);
    show(this.#pages, last > 0);
    write(find("[data-page-words]"), `Page ${this.#page + 1} of ${last + 1}`);
    return places.slice(this.#page * size, (this.#page + 1) * size);
  }

  /** @param {number} by */
  #turn(by) {
    this.#page = Math.max(0, this.#page + by);
    this.draw();
    say("status", find("[data-page-words]").textContent ?? "");
  }

  /** @param {Place[]} shown */
  #layOut(shown) {
    const screen = shown.some((place) => place.source === "screen");
    mark(this.#root, "data-columns", String(screen ? Math.min(2, shown.length) : columns(shown.length, device(), this.#panelOpen())));
    mark(find(".x-stage"), "data-screen", String(screen));
    mark(find(".x-stage"), "data-tiles", String(shown.length));
  }

  /** @param {Place[]} places */
  #keepOnly(places) {
    const keys = new Set(places.map((place) => place.key));
    for (const [key, tile] of this.#tiles) {
      if (keys.has(key)) continue;
      release(tile);
      tile.remove();
      this.#tiles.delete(key);
    }
  }

  /** @param {HTMLElement} container @param {Place[]} places */
  #fill(container, places) {
    const tiles = places.map((place) => this.#tile(place));
    for (const moved of arrangeChildren(container, tiles)) {
      void moved.querySelector("video")?.play().catch(() => {}); // a video that was moved in the document has paused
    }
  }

  /** @param {Person[]} people @param {State} state */
  #nameOff(people, state) {
    const pupils = state.people.filter((person) => !isAdult(person)).length;
    show(this.#off, people.length > 0);
    write(this.#off, `Camera off (${people.length} of ${count(pupils, "pupil")}): ${people.map((person) => (person.hand ? `${person.name} (hand up)` : person.name)).join(", ")}`);
  }

  // ---- one tile ---------------------------------------------------------------------------------------------------

  /** @param {Place} place */
  #tile(place) {
    const tile = this.#tiles.get(place.key) ?? this.#newTile(place);
    const { person, source, own } = place;
    const screen = source === "screen";
    mark(tile, "aria-label", screen ? `${person.name}'s screen` : own ? `You, camera ${person.camera ? "on" : "off"}` : tileName(person));
    write(find("[data-name]", tile), screen ? `${person.name}'s screen${person.sharing === "staff" ? ". Only staff can see it" : ""}` : own ? this.#ownWords(person) : person.name);
    tile.classList.toggle("x-tile--trouble", !person.connected);
    show(tile.querySelector('[data-mark="hand"]'), !screen && person.hand !== null);
    write(find("[data-hand]", tile), person.hand === null ? "" : String(person.hand));
    show(tile.querySelector('[data-mark="microphone"]'), !screen && person.microphone);
    show(tile.querySelector('[data-mark="microphone-off"]'), !screen && !person.microphone);
    write(find("[data-off-words]", tile), this.#offWords(place));
    this.#picture(tile, place);
    return tile;
  }

  /** @param {Place} place */
  #newTile({ key, person, source, own }) {
    const tile = piece("tile");
    tile.dataset.for = person.person;
    tile.dataset.kind = source;
    tile.classList.toggle("x-tile--own", own);
    tile.classList.toggle("x-tile--screen", source === "screen");
    write(find("[data-initial]", tile), source === "screen" ? "" : person.name.slice(0, 1));
    show(tile.querySelector("[data-person-do]"), this.#mayModerate && !own && !isAdult(person));
    write(find("[data-menu-words]", tile), `Menu for ${person.name}`);
    this.#tiles.set(key, tile);
    return tile;
  }

  /** @param {Person} person */
  #ownWords(person) {
    if (!person.camera) return "You";
    return this.#staff ? "You" : "Only staff can see you";
  }

  /** @param {Place} place */
  #offWords({ person, source, own }) {
    if (source === "screen") return "Screen coming";
    if (person.camera) return this.#tracks.has(`camera-${person.person}`) || own ? "" : "Picture coming";
    return own ? "Your camera is off" : "Camera off";
  }

  /** @param {HTMLElement} tile @param {Place} place */
  #picture(tile, { key, person, source, own }) {
    const sent = source === "screen" || person.camera;
    const track = !sent ? null : own ? this.#ownPicture() : this.#tracks.get(key) ?? null;
    const video = tile.querySelector("video");
    if (!track) return release(tile);
    if (video && tracksOf(video)[0] === track) return;
    release(tile);
    const picture = document.createElement("video");
    Object.assign(picture, { autoplay: true, muted: true, playsInline: true, srcObject: new MediaStream([track]) });
    if (!own) Object.assign(picture.dataset, { person: person.person, source });
    mark(picture, "aria-label", source === "screen" ? `${person.name}'s screen` : own ? "Your camera" : `${person.name}'s camera`);
    find("[data-picture]", tile).append(picture);
  }

  // ---- sound ------------------------------------------------------------------------------------------------------

  /** @param {State} state */
  #play(state) {
    const here = new Set(state.people.map((person) => person.person));
    for (const [key, track] of this.#tracks) {
      const person = key.slice("microphone-".length);
      if (key.startsWith("microphone-") && here.has(person) && person !== this.#me) this.#sound(key, person, track);
    }
    for (const [key, sound] of this.#sounds) {
      if (this.#tracks.get(key) === tracksOf(sound)[0]) continue;
      silence(sound);
      this.#sounds.delete(key);
    }
  }

  /** @param {string} key @param {string} person @param {MediaStreamTrack} track */
  #sound(key, person, track) {
    const known = this.#sounds.get(key);
    if (known && tracksOf(known)[0] === track) return;
    if (known) silence(known);
    const sound = document.createElement("audio");
    Object.assign(sound, { autoplay: true, srcObject: new MediaStream([track]) });
    Object.assign(sound.dataset, { person, source: "microphone" });
    this.#sounds.set(key, sound);
    find(".x-stage").append(sound);
    if (this.#speaker) void setSink(sound, this.#speaker);
    void sound.play().catch(() => {});
  }
}

/** @returns {import("./arrange.js").Device} */
export function device() {
  const width = document.documentElement.clientWidth;
  const low = document.documentElement.clientHeight < 500;
  return width < PHONE || low ? "phone" : width < TABLET ? "tablet" : "laptop";
}

/** @param {HTMLMediaElement} element */
const tracksOf = (element) => (element.srcObject instanceof MediaStream ? element.srcObject.getTracks() : []);

/** @param {HTMLElement} tile */
function release(tile) {
  for (const video of all("video", tile)) if (video instanceof HTMLVideoElement) silence(video);
}

/** @param {HTMLMediaElement} element */
function silence(element) {
  element.pause();
  element.srcObject = null;
  element.remove();
}

/** @param {HTMLAudioElement} sound @param {string} speaker */
async function setSink(sound, speaker) {
  if ("setSinkId" in sound) await sound.setSinkId(speaker).catch(() => {});
}
