// @ts-check
/** Who watched recordings that a child is in: the role, never the name (RE1). */

import { h } from "../dom.js";
import { inset } from "../parts.js";
import { entries } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function watched(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const list = await entries(app, `/children/${id}/views`, t("watched.none"), (one) => h("li", {}, t(
    one.minutes ? "watched.entry" : "watched.entry.whole", {
      day: words.day(`${one.on}T12:00:00Z`), minutes: one.minutes ? t("minutes", { count: one.minutes }) : "",
      role: t(`watched.role.${one.role.replace(/^an? /, "").replaceAll(" ", "-")}`), reason: t(`watched.reason.${one.reason}`),
    })));
  return {
    title: t("watched.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [inset(h("p", {}, t("watched.careful"))), ...list],
  };
}
