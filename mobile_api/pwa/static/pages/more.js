// @ts-check
/** More: everything about each child, this phone, and raising a concern. */

import { h } from "../dom.js";
import { button, card, inset, link } from "../parts.js";

const ABOUT = /** @type {const} */ (["lessons", "attendance", "data", "watched", "calls", "one-to-ones"]);

/** @type {import("../routes.js").View} */
export async function more(app) {
  const { t } = app;
  const me = await app.who();
  const unsent = await app.answers.unsent();
  if (app.joining.leaves && unsent.length) return leaving(app, unsent.length);
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
        await app.sendWaiting();
        if (!(await app.answers.unsent()).length) return signOut(app);
        app.joining.leaves = true;
        await app.show();
      } }),
      h("p", { class: "foot" }, t("footer")),
    ],
  };
}

/** No answer is dropped without a word: it might be a no. @param {import("../app.js").App} app @param {number} count */
function leaving(app, count) {
  const { t } = app;
  delete app.joining.leaves;
  return {
    title: t("leave.title"), back: "/m/more", tab: "more",
    parts: [
      inset(h("p", {}, t("leave.text", { count })), h("p", {}, t("waiting.stop", { office: app.me.office }))),
      button(t("leave.stay"), { click: () => app.show() }),
      button(t("leave.drop"), { kind: "warning", click: () => signOut(app) }),
    ],
  };
}

/** @param {import("../app.js").App} app */
async function signOut(app) {
  await app.client.write("DELETE", "/session").catch(() => {});
  await app.client.lock();
  await app.store.empty();
  app.leave();
  await app.go("/m/welcome", true);
}
