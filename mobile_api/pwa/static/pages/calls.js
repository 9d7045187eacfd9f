// @ts-check
/** The school's calls about a child: who called, when, how long and why. Nothing that was said, and no number (CM6). */

import { h } from "../dom.js";
import { entries } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function calls(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const list = await entries(app, `/children/${id}/calls`, t("calls.none"), (one) => h("li", {}, t("calls.entry", {
    time: words.moment(one.placed_at), name: one.caller, why: t(`calls.why.${one.purpose}`),
    how: one.by ? t(`calls.by.${one.by}`, { minutes: t("minutes", { count: Math.ceil(one.seconds / 60) }) }) : t("calls.missed"),
  })));
  return {
    title: t("calls.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [h("p", {}, t("calls.text")), ...list],
  };
}
