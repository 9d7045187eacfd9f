// @ts-check
/** My phones: where one is signed in, signing others out, notices on this one (6.13). */

import { h } from "../dom.js";
import { button, card, inset, tag } from "../parts.js";
import { canNotify, subscribe, unsubscribe } from "../notices.js";

/** @type {import("../routes.js").View} */
export async function phones(app) {
  const { t, words } = app;
  const found = (await app.client.read("/phones")).phones;
  const push = await app.client.read("/push");
  const may = push.is_on || (await canNotify(app));
  const others = found.filter((/** @type {any} */ one) => !one.is_this_one);
  const again = async () => app.show(true);
  return {
    title: t("phones.title"), back: "/m/more", tab: "more",
    parts: [
      ...found.map((/** @type {any} */ one) => card(h("span", {}, one.name, " ", one.is_this_one ? tag(t("phones.this"), "good")
        : ""),
        h("p", {}, t("phones.added", { time: words.moment(one.added_at) })), h("p", {}, t("phones.seen",
          { time: words.moment(one.seen_at) })),
        one.rests_until ? inset(h("p", {}, t("rests", { time: words.moment(one.rests_until) }))) : null,
        one.is_this_one ? null : button(t("phones.sign-out"), { kind: "warning",
          "aria-label": `${t("phones.sign-out")}: ${one.name}`, click: async () => {
          await app.client.write("DELETE", `/phones/${one.id}`);
          await again();
        } }))),
      others.length > 1 ? button(t("phones.sign-out-others"), { kind: "warning", click: async () => {
        await app.client.write("DELETE", "/phones");
        await again();
      } }) : null,
      h("h2", {}, t("notices.heading")), h("p", {}, t("notices.text")),
      h("p", {}, push.is_on ? t("notices.are-on") : t("notices.are-off")),
      may ? button(t(push.is_on ? "notices.turn-off" : "notices.turn-on"), { kind: "secondary", click: async () => {
        await (push.is_on ? unsubscribe(app) : subscribe(app)).catch(() => {});
        await again();
      } }) : null,
      h("p", {}, t("phones.lost", { office: app.me.office })),
    ],
  };
}
