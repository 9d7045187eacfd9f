// @ts-check
/** From the letter to the first page: language, code, home screen, passkey, notices. The order is a straight line, and going back is allowed. */

import { h } from "../dom.js";
import { button, dateInput, form, inset, input } from "../parts.js";
import { create, supported } from "../passkeys.js";
import { isInstalled, platform } from "../phone.js";
import { canNotify, subscribe } from "../notices.js";
import { Problem } from "../protocol.js";
import { languageChoices } from "./language.js";
import { unlock } from "./sign_in.js";

/** @type {import("../routes.js").View} */
export function welcome(app) {
  const token = new URLSearchParams(location.hash.slice(1)).get("i");
  if (token) {
    app.joining = { token };
    history.replaceState(null, "", "/m/welcome"); // a link that works once is not left lying in the address
  }
  const { t } = app;
  return {
    title: t("language.title"), alone: true,
    parts: [languageChoices(app, async () => app.go(app.joining.token ? "/m/welcome/code" : "/m/welcome")),
      app.joining.token ? button(t("continue"), { href: "/m/welcome/code" })
        : h("div", {}, inset(h("p", {}, t("welcome.letter"))), button(t("welcome.been-here"), { href: "/m/sign-in",
          kind: "secondary" }))],
  };
}

/** @type {import("../routes.js").View} */
export async function code(app) {
  const { t } = app;
  if (!app.joining.token) return welcome(app, {});
  const office = await app.office();
  const figures = input({ name: "code", label: t("code.code"), hint: t("code.hint"), given: { inputmode: "numeric",
    autocomplete: "one-time-code", maxlength: 7, class: "w6" } });
  const born = dateInput({ name: "born", label: t("code.born"), hint: t("code.born.hint"), parts: [t("date.day"),
    t("date.month"), t("date.year")] });
  return {
    title: t("code.title"), back: "/m/welcome", alone: true,
    parts: [h("p", {}, t("code.text")), form(app, {
      fields: [figures, born], send: t("continue"),
      check: (values) => ({
        ...(/^\d{6}$/.test((values.code ?? "").replace(/[\s-]/g, "")) ? {} : { code: t("code.error") }), ...(values.born ? {}
          : { born: t("code.born.error") }),
      }),
      act: async (values) => {
        try {
          Object.assign(app.joining, await app.client.enter("/invitations/open", { token: app.joining.token, code: values.code,
            born_on: values.born }));
          delete app.joining.made; // an invitation that opens has kept no passkey
        } catch (error) {
          if (/** @type {any} */ (error).status !== 422) throw error;
          throw Object.assign(new Error(), { words: t("code.refused", { office }) });
        }
        await app.store.set("office", app.joining.office);
        await app.go(isInstalled() ? "/m/welcome/passkey" : "/m/welcome/add");
      },
    }), button(t("welcome.been-here"), { href: "/m/sign-in", kind: "plain" })], // a letter works once, the passkey always
  };
}

/** @type {import("../routes.js").View} */
export function add(app) {
  const { t } = app;
  if (!app.joining.invitation) return welcome(app, {});
  const steps = platform() === "ios" ? ["ios.1", "ios.2", "ios.3"] : ["android.1", "android.2", "android.3"];
  return {
    title: t("add.title"), back: "/m/welcome/code", alone: true,
    parts: [
      h("p", {}, t(platform() === "ios" ? "add.ios" : "add.text")), h("ol", { class: "steps" }, ...steps.map((step) => h("li",
        {}, t(`add.${step}`)))),
      button(t("continue"), { href: "/m/welcome/passkey" }),
    ],
  };
}

/** @type {import("../routes.js").View} */
export async function passkey(app) {
  const { t } = app;
  if (!app.joining.invitation) return welcome(app, {});
  const office = await app.office();
  return {
    title: t("passkey.title"), back: "/m/welcome/code", alone: true,
    parts: [h("p", { class: "lead" }, t("passkey.text")), supported ? form(app, {
      fields: [], send: t("passkey.make"),
      act: async () => {
        try {
          await make(app);
        } catch (error) {
          if (/** @type {any} */ (error).status === 422 || /** @type {any} */ (error).status === 401) {
            throw Object.assign(new Error(), { words: t("passkey.refused", { office }) });
          }
          if (error instanceof DOMException) throw Object.assign(new Error(), { words: t(error.name === "NotAllowedError"
            ? "passkey.stopped" : "passkey.cannot", { office }) });
          throw error;
        }
        app.joining = {};
        app.me = null; // who was here before
        await app.store.set("seen", Date.now());
        await app.go((await canNotify(app)) ? "/m/welcome/notices" : "/m/", true);
      },
    }) : inset(h("p", {}, t("passkey.cannot", { office })))],
  };
}

/**
 * Make a passkey. One whose reply was lost is sent again as it was. Where the invitation is refused then, the school has it
 * already, and it opens what was made with it; or the quarter of an hour is over, and the code opens the invitation anew.
 * @param {import("../app.js").App} app
 */
async function make(app) {
  const { invitation } = app.joining;
  const finish = () => app.client.enter("/passkeys/register/finish", app.joining.made, true);
  if (app.joining.made) {
    try {
      return await finish();
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 422) throw error;
      if (error.code === "invitation-refused") return await found(app);
    }
  }
  delete app.joining.made;
  const asked = await app.client.enter("/passkeys/register/begin", { invitation });
  const credential = await create(asked.publicKey);
  app.joining.made = { invitation, ticket: asked.ticket, credential, phone: thisPhone(app) };
  return finish();
}

/** Sign in with the passkey that was made; where the school does not have it, it is forgotten. @param {import("../app.js").App} app */
async function found(app) {
  try {
    return await unlock(app);
  } catch (error) {
    if (error instanceof Problem && [401, 422].includes(error.status)) delete app.joining.made;
    throw error;
  }
}

/** What this phone is called in its owner's list. @param {import("../app.js").App} app */
export const thisPhone = (app) => ({ name: app.t(`phone.${platform()}`), platform: platform(), language: app.words.meta.code });

/** @type {import("../routes.js").View} */
export function notices(app) {
  const { t } = app;
  const onwards = () => app.go("/m/", true);
  return {
    title: t("notices.title"), alone: true,
    parts: [h("p", { class: "lead" }, t("notices.text")), h("div", { class: "equal" },
      button(t("yes"), { click: async () => {
        await subscribe(app).catch(() => {});
        await onwards();
      } }), button(t("notices.not-now"), { click: onwards }))],
  };
}
