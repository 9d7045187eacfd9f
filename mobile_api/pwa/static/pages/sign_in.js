// @ts-check
/** Locked, or not signed in: the phone's own lock opens it again. */

import { h } from "../dom.js";
import { canNotify } from "../notices.js";
import { button, form, inset } from "../parts.js";
import { prove, supported } from "../passkeys.js";
import { isInstalled } from "../phone.js";
import { waitingList } from "./no.js";
import { thisPhone } from "./welcome.js";

/** @type {import("../routes.js").View} */
export async function signIn(app) {
  const { t } = app;
  const office = await app.office();
  const locked = Boolean(await app.store.get("phone"));
  return {
    title: t(locked ? "locked.title" : "sign-in.title"), alone: true, name: "sign-in",
    parts: [
      h("p", { class: "lead" }, t(locked || !isInstalled() ? "locked.text" : "sign-in.installed")), ...(await waitingList(app, await app.answers.kept())),
      supported ? form(app, { fields: [], send: t("locked.open"), act: async () => {
        try {
          await unlock(app);
        } catch (error) {
          const refused = error instanceof DOMException || [401, 422].includes(/** @type {any} */ (error).status);
          throw refused ? Object.assign(new Error(), { words: t("locked.refused", { office }) }) : error;
        }
        await app.store.set("seen", Date.now());
        await app.sendWaiting();
        if (!locked && (await canNotify(app))) await app.go("/m/welcome/notices", true);
        else if (location.pathname === "/m/sign-in" || location.pathname === "/m/welcome") await app.go("/m/", true);
        else await app.show();
      } }) : inset(h("p", {}, t("passkey.cannot", { office }))),
      h("p", {}, t("locked.lost", { office })),
      locked ? null : button(t("sign-in.letter"), { href: "/m/welcome", kind: "plain" }),
    ],
  };
}

/** Sign in with a passkey of this phone. @param {import("../app.js").App} app */
export async function unlock(app) {
  const asked = await app.client.enter("/sign-in/begin");
  const credential = await prove(asked.publicKey);
  await app.client.enter("/sign-in/finish", { ticket: asked.ticket, credential, phone: thisPhone(app) }, true);
}
