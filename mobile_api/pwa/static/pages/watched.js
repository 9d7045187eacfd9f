// @ts-check
/** Who watched recordings that a child is in: the role, never the name (RE1). */

import { h } from "../dom.js";
import { button, inset } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function watched(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const list = h("ul", { class: "entries" });
  const more = button(t("list.more"), { kind: "secondary", hidden: true });
  let cursor = "";
  const load = async () => {
    const found = await app.client.read(`/children/${id}/views${cursor && `?cursor=${encodeURIComponent(cursor)}`}`);
    list.append(...found.entries.map((/** @type {any} */ one) => h("li", {}, t(one.minutes ? "watched.entry" : "watched.entry.whole", {
      day: words.day(`${one.on}T12:00:00Z`), minutes: one.minutes ? t("minutes", { count: one.minutes }) : "",
        role: t(`watched.role.${one.role.replace(/^an? /, "").replaceAll(" ", "-")}`), reason: t(`watched.reason.${one.reason}`),
    }))));
    cursor = found.next ?? "";
    more.hidden = !cursor;
    return found.entries.length;
  };
  more.addEventListener("click", load);
  const some = await load();
  return {
    title: t("watched.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [inset(h("p", {}, t("watched.careful"))), some ? list : h("p", {}, t("watched.none")), more],
  };
}
