// @ts-check
/** What there is when there is nothing: no network, no such page, something went wrong. */

import { h } from "../dom.js";
import { button, inset, tag } from "../parts.js";
import { purposeTitle } from "./shared.js";

/** What the phone knows by itself: that it is offline, and which answers were not sent. */
/** @type {import("../routes.js").View} */
export async function offline(app) {
  const { t } = app;
  const kept = await app.answers.kept();
  return {
    name: "offline", title: t("offline.title"),
    parts: [
      h("p", {}, t("offline.nothing")), ...(await waitingList(app, kept)),
      button(t("offline.again"), { click: () => app.show() }),
    ],
  };
}

/**
 * The answers that were saved, and those that wait, each with what it is worth: nothing yet.
 * @param {import("../app.js").App} app
 * @param {import("../store.js").Waiting[]} waiting
 */
export async function waitingList(app, waiting) {
  const { t, words } = app;
  if (!waiting.length) return [];
  const office = await app.office();
  const lines = waiting.map((one) => h("li", {}, h("strong", {}, purposeTitle(app, one.purpose)), " ",
    one.state === "sent" ? tag(t("waiting.sent", { time: words.time(one.at) }), "good")
      : one.state === "refused" ? tag(t("waiting.refused"), "bad") : tag(t(one.state === "draft" ? "permissions.saved" : "waiting.waits"), "warn"),
    one.state === "waiting" || one.state === "draft" ? "" : h("button", { type: "button", class: "button plain", click: async () => {
      await app.answers.forget(one.key);
      await app.show();
    } }, t("waiting.ok"))));
  const waits = waiting.some((one) => one.state === "waiting");
  const settled = waiting.every((one) => one.state === "sent" || one.state === "refused");
  return [inset(h("h2", {}, t("waiting.title")), h("ul", { class: "plain-list" }, ...lines),
    settled ? null : h("p", {}, h("strong", {}, t("waiting.not"))), waits ? h("p", {}, t("waiting.stop", { office })) : null)];
}

/** @type {import("../routes.js").View} */
export async function wrong(app, { kind }) {
  const { t } = app;
  const missing = kind === "missing";
  return {
    name: "wrong", title: t(missing ? "missing.title" : "wrong.title"),
    parts: [h("p", {}, missing ? t("missing.text", { office: await app.office() }) : t("wrong.text")),
      missing ? button(t("missing.home"), { href: "/m/" }) : button(t("offline.again"), { click: () => app.show() })],
  };
}
