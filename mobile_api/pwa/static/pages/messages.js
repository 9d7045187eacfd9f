// @ts-check
/** Messages: what the family is told (IN2). */

import { h } from "../dom.js";
import { button, link } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function messages(app) {
  const { t, words } = app;
  const me = await app.who();
  const list = h("ul", { class: "entries messages" });
  const more = button(t("list.more"), { kind: "secondary", hidden: true });
  let cursor = "";
  const load = async () => {
    const found = await app.client.read(`/messages${cursor && `?cursor=${encodeURIComponent(cursor)}`}`);
    list.append(...found.entries.map((/** @type {any} */ one) => message(app, me, one)));
    cursor = found.next ?? "";
    more.hidden = !cursor;
    return found;
  };
  more.addEventListener("click", load);
  const found = await load();
  return {
    title: t("messages.title"), tab: "messages",
    parts: [
      found.unread ? h("p", {}, t("messages.unread", { count: found.unread })) : null,
      found.entries.length ? list : h("p", {}, t("messages.none")), more,
    ],
  };
}

/** @param {import("../app.js").App} app @param {any} me @param {any} one */
function message(app, me, one) {
  const { t, words } = app;
  const child = me.children.find((/** @type {any} */ each) => each.id === one.child_id);
  const key = `message.${one.kind}`;
  const said = words.has(key) ? t(key, { name: child?.name ?? t("message.your-child"), office: me.office }) : one.words;
  const line = h("li", { class: one.read_at ? "" : "unread" }, h("p", { class: "entry-day" }, words.moment(one.at)), h("p", {},
    said));
  if (one.kind === "one-to-one" && child && one.lesson_id) {
    line.append(h("p", {}, link(`/m/one-to-ones/${child.id}/${one.lesson_id}`, t("lesson.alone.read"))));
  }
  if (!one.read_at) {
    line.append(button(t("message.read"), { kind: "secondary", "aria-label": `${t("message.read")}: ${said}`, click: async () => {
      await app.client.write("POST", `/messages/${one.id}/read`);
      await app.who(true);
      await app.show(true);
    } }));
  }
  return line;
}
