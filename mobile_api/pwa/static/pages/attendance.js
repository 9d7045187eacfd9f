// @ts-check
/** Which lessons a child was in, and for how long (RL9). */

import { h } from "../dom.js";
import { button, inset } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function attendance(app, { child: id = "" }) {
  const { t } = app;
  const child = await app.child(id);
  const list = h("ul", { class: "entries" });
  const more = button(t("list.more"), { kind: "secondary", hidden: true });
  let cursor = "";
  const load = async () => {
    const found = await app.client.read(`/children/${id}/attendance${cursor && `?cursor=${encodeURIComponent(cursor)}`}`);
    list.append(...found.entries.map((/** @type {any} */ one) => entry(app, one)));
    cursor = found.next ?? "";
    more.hidden = !cursor;
    return found.entries.length;
  };
  more.addEventListener("click", load);
  const some = await load();
  return {
    title: t("attendance.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [inset(h("p", {}, t("attendance.not-register"))), some ? list : h("p", {}, t("attendance.none")), more],
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
