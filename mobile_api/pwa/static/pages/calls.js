// @ts-check
/** The school's calls about a child: who called, when, how long and why. Nothing that was said, and no number (CM6). */

import { h } from "../dom.js";
import { button } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function calls(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const list = h("ul", { class: "entries" });
  const more = button(t("list.more"), { kind: "secondary", hidden: true });
  let cursor = "";
  const load = async () => {
    const found = await app.client.read(`/children/${id}/calls${cursor && `?cursor=${encodeURIComponent(cursor)}`}`);
    list.append(...found.entries.map((/** @type {any} */ one) => h("li", {}, t("calls.entry", {
      time: words.moment(one.placed_at), name: one.caller, why: t(`calls.why.${one.purpose}`),
      how: one.by ? t(`calls.by.${one.by}`, { minutes: t("minutes", { count: Math.ceil(one.seconds / 60) }) }) : t("calls.missed"),
    }))));
    cursor = found.next ?? "";
    more.hidden = !cursor;
    return found.entries.length;
  };
  more.addEventListener("click", load);
  const some = await load();
  return {
    title: t("calls.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [h("p", {}, t("calls.text")), some ? list : h("p", {}, t("calls.none")), more],
  };
}
