// @ts-check
/** A child's lessons of the next seven days, and one lesson. */

import { h } from "../dom.js";
import { card, facts, inset, link } from "../parts.js";
import { hours, hoursRecorded, lessonTag, pausedWords } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function lessons(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const found = await app.client.read("/timetable?days=7");
  const own = found.children.find((/** @type {any} */ one) => one.id === id)?.lessons ?? [];
  /** @type {Map<string, any[]>} */
  const days = new Map();
  for (const one of own) days.set(words.date(one.starts_at), [...(days.get(words.date(one.starts_at)) ?? []), one]);
  return {
    title: t("lessons.title", { name: child.name }), back: "/m/", tab: "home", again: 30,
    parts: [
      ...[...days.values()].map((of) => card(words.day(of[0].starts_at), ...of.map((one) => h("div", { class: "lesson" },
        h("p", { class: "lesson-name" }, link(`/m/lessons/${id}/${one.id}`, t("home.lesson", { title: one.title,
          teacher: one.teacher })), " ", lessonTag(app, one)),
        h("p", { class: "lesson-time" }, hoursRecorded(app, one)), pausedWords(app, one))))),
      own.length ? null : h("p", {}, t("lessons.none")),
      h("ul", { class: "links" },
        h("li", {}, link(`/m/attendance/${id}`, t("more.attendance", { name: child.name }))),
        h("li", {}, link(`/m/one-to-ones/${id}`, t("more.one-to-ones", { name: child.name })))),
    ],
  };
}

/** @type {import("../routes.js").View} */
export async function lesson(app, { child: id = "", lesson: lessonId = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const found = await app.client.read("/timetable?days=7");
  const one = found.children.find((/** @type {any} */ each) => each.id === id)?.lessons.find((/** @type {any} */ each) => each.id === lessonId);
  if (!one) return app.missing();
  const here = one.live?.is_here;
  return {
    title: one.title, caption: words.day(one.starts_at), back: `/m/lessons/${id}`, tab: "home", again: 15,
    parts: [
      h("p", {}, lessonTag(app, one)), pausedWords(app, one),
      one.live ? h("p", {}, t(here ? "lesson.here" : "lesson.not-here", { name: child.name })) : null,
      facts([
        [t("lesson.when"), hours(app, one)], [t("lesson.teacher"), one.teacher], [t("lesson.class"), one.class_name],
        [t("lesson.is-recorded"), t("lesson.always")],
        ...(one.moved_from ? [/** @type {[string, string]} */ ([t("lesson.moved"), words.moment(one.moved_from)])] : []),
        ...(one.joined_at ? [/** @type {[string, string]} */ ([t("lesson.joined"), words.time(one.joined_at)])] : []),
      ]),
      one.alone ? inset(h("p", {}, t("lesson.alone", { name: child.name, adult: one.alone.adult })),
        link(`/m/one-to-ones/${id}/${lessonId}`, t("lesson.alone.read"))) : null,
      one.may_join || !["planned", "open"].includes(one.status) ? null : inset(h("p", {}, t("lesson.cannot-join", { name: child.name,
        office: app.me.office }))),
    ],
  };
}
