// @ts-check
/** Home: what needs me, and each child's lessons of today. */

import { h } from "../dom.js";
import { button, card, inset, link } from "../parts.js";
import { waitingList } from "./no.js";
import { hoursRecorded, lessonTag, nothing, pausedWords, purposeTitle } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function home(app) {
  const { t } = app;
  const me = await app.who(true);
  const [today, waiting] = [await app.client.read("/timetable?days=1"), await app.answers.waiting()];
  const needs = [];
  if (me.agreement === "due") needs.push(link("/m/agreement", t("home.agreement")));
  const unsigned = me.rules_to_sign.map((/** @type {any} */ child) => child.name);
  if (unsigned.length) needs.push(link("/m/agreement", t("home.rules", { names: unsigned.join(", ") })));
  if (me.questions) needs.push(link("/m/permissions", t("home.questions", { count: me.questions })));
  if (me.unread) needs.push(link("/m/messages", t("home.messages", { count: me.unread })));
  return {
    title: t("home.title"), tab: "home", again: 20,
    parts: [
      ...(await waitingList(app, waiting)), ...(await unsent(app)),
      me.rests_until ? inset(h("p", {}, t("rests", { time: app.words.moment(me.rests_until) }))) : null,
      needs.length ? h("section", { class: "needs" }, h("h2", {}, t("home.needs")), h("ul", {}, ...needs.map((each) => h("li",
        {}, each)))) : null,
      ...today.children.map((/** @type {any} */ child) => childCard(app, child)),
      today.children.length ? null : await nothing(app),
    ],
  };
}

/** Answers that were saved and not sent, of each child. @param {import("../app.js").App} app */
async function unsent(app) {
  const { t } = app;
  const saved = await Promise.all(app.me.children.map(async (/** @type {any} */ child) => {
    const titles = (await app.answers.drafts(child.id)).map((one) => purposeTitle(app, one.purpose));
    return titles.length ? inset(h("p", {}, t("home.not-sent", { name: child.name, questions: titles.join(", ") })),
      link(`/m/permissions/${child.id}/check`, t("permissions.check"))) : null;
  }));
  return saved;
}

/** @param {import("../app.js").App} app @param {any} child */
function childCard(app, child) {
  const { t } = app;
  const lines = child.lessons.map((/** @type {any} */ lesson) => h("div", { class: "lesson" },
    h("p", { class: "lesson-name" }, link(`/m/lessons/${child.id}/${lesson.id}`, t("home.lesson", { title: lesson.title,
      teacher: lesson.teacher })), " ", lessonTag(app, lesson)),
    h("p", { class: "lesson-time" }, hoursRecorded(app, lesson)),
    lesson.joined_at ? h("p", {}, t("home.joined", { name: child.name, time: app.words.time(lesson.joined_at) })) : null,
    pausedWords(app, lesson)));
  const kept = child.lessons.some((/** @type {any} */ one) => !one.may_join && ["planned", "open"].includes(one.status));
  return card(child.name, kept ? h("p", { class: "paused-words" }, t("lesson.cannot-join", { name: child.name,
    office: app.me.office })) : "", ...(lines.length ? lines : [h("p", {}, t("home.no-lessons"))]),
    h("p", { class: "card-links" }, link(`/m/lessons/${child.id}`, t("home.week", { name: child.name }))));
}
