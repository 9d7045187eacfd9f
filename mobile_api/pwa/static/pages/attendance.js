// @ts-check
/** Which lessons a child was in, and for how long (RL9). */

import { h } from "../dom.js";
import { inset } from "../parts.js";
import { entries } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function attendance(app, { child: id = "" }) {
  const { t } = app;
  const child = await app.child(id);
  const list = await entries(app, `/children/${id}/attendance`, t("attendance.none"), (one) => entry(app, one));
  return {
    title: t("attendance.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [inset(h("p", {}, t("attendance.not-register"))), ...list],
  };
}

/** @param {import("../app.js").App} app @param {any} one */
function entry(app, one) {
  const { t, words } = app;
  const said = one.joined_at
    ? t("attendance.was", { title: one.title, from: words.time(one.joined_at), to: words.time(one.left_at ?? one.ends_at),
      minutes: t("minutes", { count: one.minutes }) })
    : t("attendance.was-not", { title: one.title });
  return h("li", {}, h("p", { class: "entry-day" }, words.day(one.starts_at)), h("p", {}, said),
    one.was_corrected ? h("p", { class: "hint" }, t("attendance.corrected")) : null);
}
