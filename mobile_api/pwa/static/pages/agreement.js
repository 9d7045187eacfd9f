// @ts-check
/** The agreement, one's own and that of the youngest children (CO1): nothing else opens before it is signed. */

import { h } from "../dom.js";
import { button, facts, form, input, inset, listen, panel, paragraphs, tick } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function agreement(app) {
  const { t, words } = app;
  const { agreements: found, signs_as: name } = await app.client.read("/agreement");
  const { office } = app.me;
  const one = found.find((/** @type {any} */ each) => each.state !== "signed") ?? found[0];
  const signed = app.joining.signed;
  delete app.joining.signed;
  if (signed || !one || one.state === "signed") {
    const due = found.some((/** @type {any} */ each) => each.state !== "signed");
    return { title: t("agreement.signed"), bare: true, alone: app.me.agreement === "not_signed", parts: [
      panel(t("agreement.signed"), one?.renew_on ? h("p", {}, t("agreement.again",
        { day: words.dayOfYear(`${(signed ?? one).renew_on ?? one.renew_on}T12:00:00Z`) })) : null),
      button(t("continue"), { href: due ? "/m/agreement" : "/m/" }),
    ] };
  }
  if (app.joining.refuses) return refused(app);
  const box = tick({ name: "agree", label: t("agreement.agree") });
  const typed = input({ name: "name", label: t("agreement.name"), hint: t("agreement.name.hint", { name, office }),
    given: { autocomplete: "name" } });
  const text = h("div", { class: "document", lang: "en", dir: "ltr" }, ...paragraphs(one.text));
  return {
    title: one.child ? t("agreement.title-child", { name: one.child.name }) : t("agreement.title"),
      alone: app.me.agreement === "not_signed",
    parts: [
      words.meta.code === "en" ? null : inset(h("p", {}, t("question.not-in", { language: words.meta.name, office }))),
      one.what_changed ? inset(h("p", {}, t("agreement.changed", { what: one.what_changed }))) : null,
      listen(app, "en", () => text.textContent ?? "", () => {}), text,
      facts([[t("agreement.version"), String(one.version)], ...(one.renew_on ? [/** @type {[string,
        string]} */ ([t("agreement.renew"), words.dayOfYear(`${one.renew_on}T12:00:00Z`)])] : [])]),
      form(app, {
        fields: [box, typed], send: t("agreement.sign"),
        check: (values) => ({ ...(values.agree ? {} : { agree: t("agreement.tick") }), ...(values.name ? {}
          : { name: t("agreement.type") }) }),
        act: async (values, wish) => {
          try {
            await app.client.write("POST", "/agreement", { agreement_id: one.id, child_id: one.child?.id ?? null, agree: true,
              name: values.name }, { wish });
          } catch (error) {
            const { status } = /** @type {any} */ (error);
            if (status === 409) return app.show(); // another version is in force now: it is read before it is signed
            if (status !== 422) throw error;
            throw Object.assign(new Error(), { words: t("agreement.other-name", { name, office }) });
          }
          await app.who(true);
          await app.sendWaiting(); // what waited for this agreement
          app.joining.signed = one;
          await app.show();
        },
      }),
      button(t("agreement.no"), { kind: "plain", click: () => {
        app.joining.refuses = true;
        app.show();
      } }),
    ],
  };
}

/** @param {import("../app.js").App} app @returns {import("../app.js").Page} */
function refused(app) {
  delete app.joining.refuses;
  return { title: app.t("agreement.no"), alone: true, parts: [
    h("p", {}, app.t("agreement.refused", { office: app.me.office })), button(app.t("agreement.read"),
      { click: () => app.show() }),
  ] };
}
