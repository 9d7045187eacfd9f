// @ts-check
/** One question: the document, read or heard, and two answers of the same size. Changing an answer is the same page (6.4). */

import { h } from "../dom.js";
import { button, form, input, inset, link, listen, paragraphs, radios } from "../parts.js";
import { Problem } from "../protocol.js";
import { follows, purposeTitle } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function responsibility(app, { child: id = "" }) {
  const { t } = app;
  const child = await app.child(id);
  const next = app.joining.next?.includes(`/${id}/`) ? app.joining.next : `/m/permissions/${id}/attend`;
  const asked = radios({
    name: "you", label: t("you.title", { name: child.name }), big: true,
    choices: [["yes", t("yes")], ["no", t("no")], ["unsure", t("you.unsure")]],
  });
  const related = input({ name: "related", label: t("you.related", { name: child.name }), hint: t("you.related.hint"),
    given: { maxlength: 40 } });
  return {
    title: t("you.title", { name: child.name }), bare: true, back: `/m/permissions/${id}`, tab: "permissions",
    parts: [form(app, {
      fields: [asked, related], send: t("continue"), check: (values) => (values.you ? {} : { you: t("you.error") }),
      act: async (values) => {
        app.joining.you = { ...app.joining.you, [id]: values.you };
        app.joining.related = { ...app.joining.related, [id]: values.related };
        await app.go(next, true);
      },
    })],
  };
}

/** @type {import("../routes.js").View} */
export async function permission(app, { child: id = "", purpose = "" }) {
  const { t } = app;
  const found = await app.client.read(`/children/${id}/consent`);
  const number = found.permissions.findIndex((/** @type {any} */ one) => one.purpose === purpose);
  const own = found.permissions[number];
  if (!own) return app.missing();
  const documentIn = (/** @type {string} */ language) =>
    app.client.read(`/documents/${own.document_id}?language=${language}&child_id=${id}`);
  if (own.by_public_task) return objection(app, { found, own, documentIn });
  const drafts = await app.answers.drafts(id);
  const you = app.joining.you?.[id] ?? drafts.at(-1)?.body.responsibility ?? found.responsibility;
  app.joining.next = `/m/permissions/${id}/${purpose}`;
  if (found.may_answer && !you) {
    return responsibility(app, { child: id });
  }
  const mayAgree = found.may_answer && you === "yes";
  if (!mayAgree && (!found.may_refuse || own.answer === "no")) return cannot(app, found); // everybody else's no is taken
  const draft = drafts.find((one) => one.purpose === purpose && one.body.document_id === own.document_id); // to these words
  const language = languageOf(app, own);
  const text = await documentIn(language);
  const shown = documentOf(app, text);
  let listened = false;
  const answer = radios({
    name: "answer", label: t("question.label"), hint: t("question.hint"),
    value: !mayAgree ? "" : draft ? (draft.body.says_yes ? "yes" : "no") : own.needs_answer ? "" : own.answer ?? "",
    choices: [...(mayAgree ? [/** @type {[string, string]} */ (["yes", t("question.yes")])] : []), ["no", t("question.no")]],
  });
  const why = reasons(app, draft?.body.reason ?? "");
  const open = () => { why.node.hidden = answer.value() !== "no"; };
  answer.node.addEventListener("change", open);
  open();
  return {
    title: text.title, caption: t("question.number", { number: number + 1, of: found.permissions.length,
      name: found.child.name }),
    back: `/m/permissions/${id}`, tab: "permissions",
    parts: [
      mayAgree ? null : onlyNo(app, found, own.answer),
      language === app.words.meta.code ? null : inset(h("p", {}, t("question.not-in", { language: app.words.meta.name,
        office: app.me.office }))),
      text.what_changed ? inset(h("p", {}, t("question.changed")), h("p", { lang: "en" }, text.what_changed)) : null,
      own.rests_until ? inset(h("p", {}, t("rests", { time: app.words.moment(own.rests_until) }))) : null,
      listen(app, language, () => shown.textContent ?? "", () => { listened = true; }), shown,
      form(app, {
        fields: [answer, why], send: t("save"), check: (values) => (values.answer ? {} : { answer: t("question.error") }),
        act: async (values) => {
          const yes = values.answer === "yes";
          await keep(app, { found, own, body: {
            purpose, says_yes: yes, document_id: own.document_id, language, listened, reason: yes ? "" : values.why ?? "",
              responsibility: you ?? null, relationship: app.joining.related?.[id] ?? drafts[0]?.body.relationship ?? "",
              answered_at: own.answered_at ?? null,
          } });
        },
      }),
    ],
  };
}

/** @param {import("../app.js").App} app @param {string} value */
const reasons = (app, value) => radios({
  name: "why", label: app.t("question.why"), value,
  choices: ["privacy", "home", "belief", "childs-wish", "other"].map((each) => [each, app.t(`question.why.${each}`)]),
});

/** Which there is: this app's, or English. @param {import("../app.js").App} app @param {any} own */
const languageOf = (app, own) => (own.languages.includes(app.words.meta.code) ? app.words.meta.code : "en");

/**
 * Recording, where the school needs no permission for it: what is done, who decides about an objection, and a way to object.
 * @param {import("../app.js").App} app
 * @param {{found: any, own: any, documentIn: (language: string) => Promise<any>}} of
 * @returns {Promise<import("../app.js").Page>}
 */
async function objection(app, { found, own, documentIn }) {
  const { t } = app;
  const { id, name } = found.child;
  const language = languageOf(app, own);
  const text = await documentIn(language);
  const shown = documentOf(app, text);
  let listened = false;
  const why = reasons(app, "");
  const may = !["waits", "upheld"].includes(own.objection);
  return {
    title: text.title, caption: name, back: `/m/permissions/${id}`, tab: "permissions",
    parts: [
      own.objection ? inset(h("p", {}, t(`object.${own.objection}`, { name, office: app.me.office }))) : null,
      listen(app, language, () => shown.textContent ?? "", () => { listened = true; }), shown,
      may && found.may_refuse ? form(app, { fields: [why], send: t("object.send"), act: (values) => keep(app, { found, own, body: {
        purpose: own.purpose, says_yes: false, document_id: own.document_id, language, listened, reason: values.why ?? "",
        answered_at: own.answered_at ?? null, // and no responsibility: nobody was asked for it
      } }) }) : null,
      may && !found.may_refuse ? inset(h("p", {}, t("object.office", { office: app.me.office }))) : null,
    ],
  };
}

/**
 * A first yes is saved until all are checked and sent. A no, and another answer than before, acts at once, with the same taps.
 * @param {import("../app.js").App} app @param {{found: any, own: any, body: any}} of
 */
async function keep(app, { found, own, body }) {
  const { id } = found.child;
  const draft = await app.answers.save(id, body.purpose, `/children/${id}/consent`, body);
  const kept = (await app.answers.unsent()).filter((one) => one.child === id); // and what waits is answered as well
  const others = kept.filter((one) => one.state === "draft");
  const open = found.permissions.find((/** @type {any} */ one) => one.needs_answer && one.purpose !== "one_to_one"
    && ![draft, ...kept].some((each) => each.purpose === one.purpose));
  const next = open ? `/m/permissions/${id}/${open.purpose}` : `/m/permissions/${id}/check`;
  const isFirst = own.needs_answer && own.answer !== "yes";
  if (isFirst && body.says_yes) return app.go(next);
  try {
    const did = await app.answers.send([draft]);
    app.joining.sent = { child: id, did, next: isFirst && (open || others.length > 1) ? next : null };
  } catch (error) {
    if (error instanceof Problem && ["words-changed", "answered-since"].includes(error.code ?? "")) return app.show(); // which shows what is there now
    throw error;
  }
  if (app.joining.sent.did) await app.who(true);
  await app.go(`/m/permissions/${id}/sent`, true);
}

/** The text as its parts, in its own language. @param {import("../app.js").App} app @param {any} text */
export const documentOf = (app, text) => h("div", { class: "document", lang: text.language,
  dir: text.language === app.words.meta.code ? app.words.meta.dir : "ltr" },
  ...text.sections.map((/** @type {any} */ part) => h("section", {}, h("h2", {}, part.heading), ...paragraphs(part.words))));

/** @param {import("../app.js").App} app @param {any} found @returns {import("../app.js").Page} */
function cannot(app, found) {
  return { title: app.t("cannot.title", { office: app.me.office }), back: `/m/permissions/${found.child.id}`, tab: "permissions",
    parts: [...mayChange(app, found), button(app.t("missing.home"), { href: "/m/" })] };
}

/**
 * What they can do whose yes is not taken here.
 * @param {import("../app.js").App} app @param {any} found @param {string | null} answer what they said last
 */
export const onlyNo = (app, found, answer) => inset(
  h("p", {}, app.t(found.may_refuse ? "cannot.only-no" : "cannot.title", { office: app.me.office })),
  found.may_refuse && answer === "yes" ? h("p", {}, app.t("cannot.stop")) : null, ...mayChange(app, found));

/** Why they cannot answer, and the way out, where it is what they said themselves. @param {import("../app.js").App} app @param {any} found */
const mayChange = (app, { child, may_answer: may }) => (!may ? [] : [h("p", {}, app.t("cannot.said", { name: child.name })),
  h("p", {}, link(`/m/permissions/${child.id}/you`, app.t("cannot.change")))]);
