// @ts-check
/** Words that several pages say. */

import { h } from "../dom.js";
import { button, tag } from "../parts.js";

/** @param {import("../app.js").App} app @param {string} purpose @returns {string} */
export const purposeTitle = (app, purpose) =>
  app.words.has(`purpose.${purpose}`) ? app.t(`purpose.${purpose}`) : app.t("purpose.other");

/** @param {import("../app.js").App} app @param {any} lesson @returns {HTMLElement} */
export function lessonTag(app, lesson) {
  const state = lesson.status === "open" && lesson.live?.state === "paused" ? "paused" : lesson.status;
  const kinds = /** @type {Record<string, string>} */ ({ open: "open", paused: "paused", ended: "ended", cancelled: "ended" });
  return tag(app.t(`lesson.${state}`), kinds[state] ?? "waiting");
}

/** “10:15 to 11am” @param {import("../app.js").App} app @param {any} lesson */
export const hours = (app, lesson) =>
  app.t("lesson.hours", { from: app.words.time(lesson.starts_at), to: app.words.time(lesson.ends_at) });

/** “10:15 to 11am · recorded” @param {import("../app.js").App} app @param {any} lesson */
export const hoursRecorded = (app, lesson) =>
  (lesson.status === "cancelled" ? hours(app, lesson) : app.t("home.recorded", { hours: hours(app, lesson) }));

/**
 * What a grown-up nearby is told of a paused lesson. A reason that this app does not know says that the room is being checked.
 * @param {import("../app.js").App} app @param {any} lesson
 */
export function pausedWords(app, lesson) {
  if (lesson.live?.state !== "paused") return null;
  const key = `paused.${lesson.live.reason}`;
  const values = { office: app.me.office, from: app.words.time(lesson.starts_at), to: app.words.time(lesson.ends_at) };
  return h("p", { class: "paused-words" }, app.t(app.words.has(key) ? key : "paused.starting", values));
}

/** What an answer did, in this language. @param {import("../app.js").App} app @param {any} one @param {string} name */
export function follows(app, one, name) {
  const values = {
    name, office: app.me.office, purpose: one.purpose ? purposeTitle(app, one.purpose) : "", time: one.at
      ? app.words.moment(one.at) : "",
  };
  const exact = `follows.${one.code}.${one.purpose ?? ""}`;
  return app.t(app.words.has(exact) ? exact : `follows.${one.code}`, values);
}

/** What one said and what holds now, sentence by sentence. @param {import("../app.js").App} app @param {any[]} outcome @param {string} name */
export function standing(app, outcome, name) {
  return outcome.map((one) => h("p", {}, follows(app, one, name)));
}

/**
 * The same page for each child: with one child it is the page, with several a choice comes first.
 * @param {import("../app.js").App} app
 */
export async function nothing(app) {
  return h("p", {}, app.t("home.nothing", { office: await app.office() }));
}

/**
 * A long list of the school's, a page at a time: the list, or words where there is nothing, and what asks for more of it.
 * @param {import("../app.js").App} app
 * @param {string} path
 * @param {string} none
 * @param {(one: any) => HTMLElement} entry
 * @returns {Promise<HTMLElement[]>}
 */
export async function entries(app, path, none, entry) {
  const list = h("ul", { class: "entries" });
  const more = button(app.t("list.more"), { kind: "secondary", hidden: true });
  let cursor = "";
  const load = async () => {
    const found = await app.client.read(path + (cursor && `?cursor=${encodeURIComponent(cursor)}`));
    list.append(...found.entries.map(entry));
    cursor = found.next ?? "";
    more.hidden = !cursor;
  };
  more.addEventListener("click", load);
  await load();
  return list.childElementCount ? [list, more] : [h("p", {}, none)];
}
