// @ts-check
/**
 * Who is shown where. Pure: the room's state and what arrives in, places out. Tiles keep the order of names and never jump.
 */

import { isAdult } from "./words.js";

/** @typedef {import("./messages.js").Person} Person */
/** @typedef {import("./messages.js").State} State */
/** @typedef {{key: string, person: Person, source: "camera" | "screen", own: boolean}} Place */
/** @typedef {"laptop" | "tablet" | "phone"} Device */

/** @param {Person} a @param {Person} b */
const byName = (a, b) => a.name.localeCompare(b.name) || a.person.localeCompare(b.person);

/** @param {Person} person @param {"camera" | "screen"} source @param {string} me @returns {Place} */
const place = (person, source, me) => ({ key: `${source}-${person.person}`, person, source, own: person.person === me });

/** Whether a screen may be seen by this viewer: staff see a pupil's first. @param {Person} sharer @param {boolean} staff */
const screenShown = (sharer, staff) => sharer.screen && (isAdult(sharer) || sharer.sharing === "all" || (staff && sharer.sharing === "staff"));

/**
 * The stage, the strip beside it, and the names of pupils whose camera is off. When no camera is on at all, staff see
 * everybody's tile: an empty stage would say nothing.
 * @param {State} state
 * @param {string} me
 * @param {boolean} staff
 * @returns {{stage: Place[], strip: Place[], off: Person[]}}
 */
export function arrange(state, me, staff) {
  const people = [...state.people].sort(byName);
  const others = people.filter((person) => person.person !== me);
  /** @param {Person[]} list */
  const cameras = (list) => list.map((person) => place(person, "camera", me));
  const own = cameras(people.filter((person) => person.person === me));
  const screens = others.filter((person) => screenShown(person, staff)).map((person) => place(person, "screen", me));
  const seen = staff ? others : others.filter(isAdult);
  const on = seen.filter((person) => person.camera);
  const nobody = on.length === 0 && screens.length === 0;
  const lead = cameras(on.length ? on : staff ? (nobody ? seen : []) : seen.filter((person) => person.role === "teacher").slice(0, 1));
  const off = staff && !nobody ? others.filter((person) => !person.camera && !isAdult(person)) : [];
  return screens.length ? { stage: screens, strip: [...lead, ...own], off } : { stage: lead, strip: own, off };
}

/** Most tiles on one page of the stage. @param {Device} device @param {boolean} panelOpen */
export const pageSize = (device, panelOpen) => ({ laptop: panelOpen ? 20 : 30, tablet: 16, phone: 8 })[device];

/** @type {Record<string, [number, number][]>} [up to so many tiles, columns] */
const COLUMNS = {
  closed: [[1, 1], [4, 2], [6, 3], [8, 4], [9, 3], [16, 4], [20, 5], [30, 6]],
  open: [[1, 1], [4, 2], [9, 3], [16, 4], [20, 5]],
  tablet: [[2, 1], [9, 3], [16, 4]],
  phone: [[2, 1], [8, 2]],
};

/** How many columns a grid of tiles has. @param {number} tiles @param {Device} device @param {boolean} panelOpen */
export function columns(tiles, device, panelOpen) {
  const table = COLUMNS[device === "laptop" ? (panelOpen ? "open" : "closed") : device] ?? [];
  return (table.find(([most]) => tiles <= most) ?? table[table.length - 1] ?? [1, 1])[1];
}
