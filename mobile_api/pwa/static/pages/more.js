// @ts-check
/** More: everything about each child, this phone, and raising a concern. */

import { h } from "../dom.js";
import { button, card, link } from "../parts.js";

const ABOUT = /** @type {const} */ (["lessons", "attendance", "data", "watched", "calls", "one-to-ones"]);

/** @type {import("../routes.js").View} */
export async function more(app) {
  const { t } = app;
  const me = await app.who();
  return {
    title: t("more.title"), tab: "more",
    parts: [
      ...me.children.map((/** @type {any} */ child) => card(child.name, h("ul", { class: "links" },
        ...ABOUT.map((each) => h("li", {}, link(`/m/${each}/${child.id}`, t(`more.${each}`, { name: child.name }))))))),
      h("ul", { class: "links" }, h("li", {}, link("/m/concern", t("concern.title"))), h("li", {}, link("/m/agreement",
        t("agreement.title"))),
        h("li", {}, link("/m/phones", t("phones.title"))), h("li", {}, link("/m/language", t("language.title")))),
      button(t("more.lock"), { kind: "secondary", click: () => app.lock() }),
      button(t("more.sign-out"), { kind: "plain", click: async () => {
        await app.client.write("DELETE", "/session").catch(() => {});
        await app.client.lock();
        await app.store.empty();
        app.leave();
        await app.go("/m/welcome", true);
      } }),
      h("p", { class: "foot" }, t("footer")),
    ],
  };
}
