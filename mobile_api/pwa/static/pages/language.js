// @ts-check
/** Languages, each in its own script. */

import { h } from "../dom.js";
import { button } from "../parts.js";

/**
 * @param {import("../app.js").App} app
 * @param {() => Promise<void>} then
 */
export const languageChoices = (app, then) => h("ul", { class: "languages" }, ...app.shell.languages.map((one) => h("li", {},
  h("button", {
    type: "button", class: "button secondary", lang: one.code, dir: one.dir,
      "aria-pressed": String(one.code === app.words.meta.code),
    click: async () => {
      await app.choose(one.code);
      await then();
    },
  }, one.name))));

/** @type {import("../routes.js").View} */
export async function language(app) {
  const { t } = app;
  const signedIn = await app.client.isSignedIn();
  return {
    title: t("language.title"), tab: "more", alone: !signedIn,
    parts: [
      languageChoices(app, async () => {
        if (signedIn) await app.client.write("PUT", "/me/language", { language: app.words.meta.code }).catch(() => {});
        await app.show();
      }),
      h("p", {}, t("language.texts")), button(t("continue"), { href: "/m/" }),
    ],
  };
}
