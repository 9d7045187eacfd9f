// @ts-check
/** Raise a concern (IN4, RC1): about a child, an adult at school, or this app. Leaving this page is one press. */

import { h } from "../dom.js";
import { button, form, input, inset, panel, radios } from "../parts.js";

/** @type {import("../routes.js").View} */
export async function concern(app) {
  const { t } = app;
  const me = await app.who();
  const about = radios({ name: "about", label: t("concern.about"), choices: ["my-child", "another-child", "an-adult",
    "this-app"].map((each) => [each, t(`concern.about.${each}`)]) });
  const which = radios({ name: "child", label: t("concern.which"), choices: me.children.map((/** @type {any} */ one) => [one.id,
    one.name]), value: me.children.length === 1 ? me.children[0].id : "" });
  const who = input({ name: "who", label: t("concern.who"), hint: t("concern.who.hint"), given: { maxlength: 120,
    autocomplete: "off" } });
  const adult = radios({ name: "adult", label: t("concern.adult"), hint: t("concern.adult.hint"), choices: [["headteacher",
    t("yes")], ["somebody-else", t("no")]] });
  const words = input({ name: "words", label: t("concern.words"), lines: 6, given: { maxlength: 3500, autocomplete: "off" } });
  const reach = radios({ name: "reach", label: t("concern.reach"), choices: ["phone", "app",
    "do-not-contact"].map((each) => [each, t(`concern.reach.${each}`)]) });
  const open = () => {
    which.node.hidden = about.value() !== "my-child" || me.children.length < 2;
    adult.node.hidden = about.value() !== "an-adult";
    who.node.hidden = !["another-child", "an-adult"].includes(about.value());
  };
  about.node.addEventListener("change", open);
  open();
  return {
    title: t("concern.title"), back: "/m/more", tab: "more", exit: true,
    parts: [
      inset(h("p", {}, h("strong", {}, t("concern.danger")))), h("p", {}, t("concern.cannot-see")),
      form(app, {
        fields: [about, which, adult, who, words, reach], send: t("concern.send"),
        check: (values) => ({
          ...(values.about ? {} : { about: t("concern.about.error") }),
          ...(values.about === "my-child" && me.children.length > 1 && !values.child ? { child: t("concern.which.error") } : {}),
          ...(values.about === "an-adult" && !values.adult ? { adult: t("concern.adult.error") } : {}),
          ...(values.words ? {} : { words: t("concern.words.error") }), ...(values.reach ? {}
            : { reach: t("concern.reach.error") }),
        }),
        act: async (values, wish) => {
          app.joining.concern = await app.client.write("POST", "/concerns", {
            about: values.about, adult: values.about === "an-adult" ? values.adult : "somebody-else", child_id: values.about === "my-child" ? values.child || null : null,
            who: ["another-child", "an-adult"].includes(values.about ?? "") ? values.who : "", words: values.words,
              reach: values.reach,
          }, { wish });
          await app.go("/m/concern/sent", true);
        },
      }),
    ],
  };
}

/** @type {import("../routes.js").View} */
export async function concernSent(app) {
  const { t } = app;
  const said = app.joining.concern;
  delete app.joining.concern;
  if (!said) return concern(app, {});
  return {
    title: t("sent.title"), bare: true, tab: "more", exit: true,
    parts: [panel(t("concern.sent", { whom: t(`concern.to.${said.to.replaceAll(" ", "-")}`) })), h("p", {}, t("concern.reply")),
      h("p", {}, t("concern.danger")), button(t("missing.home"), { href: "/m/" })],
  };
}
