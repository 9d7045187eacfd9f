// @ts-check
/** One question: the document, read or heard, and two answers of the same size. Changing an answer is the same page (6.4). */

import { h } from "../dom.js";
import { button, form, inset, link, listen, paragraphs, radios } from "../parts.js";
import { Problem } from "../protocol.js";
import { follows, purposeTitle } from "./shared.js";

/** @type {import("../routes.js").View} */
export async function responsibility(app, { child: id = "" }) {
  const { t } = app;
  const child = await app.child(id);
  const next = app.joining.next ?? `/m/permissions/${id}/attend`;
  const asked = radios({
    name: "you", label: t("you.title", { name: child.name }), big: true,
    choices: [["yes", t("yes")], ["no", t("no")], ["unsure", t("you.unsure")]],
  });
  return {
    title: t("you.title", { name: child.name }), bare: true, back: `/m/permissions/${id}`, tab: "permissions",
    parts: [form(app, {
      fields: [asked], send: t("continue"), check: (values) => (values.you ? {} : { you: t("you.error") }),
      act: async (values) => {
        app.joining.you = { ...app.joining.you, [id]: values.you };
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
  const drafts = await app.answers.drafts(id);
  const you = app.joining.you?.[id] ?? drafts[0]?.body.responsibility ?? found.responsibility;
  if (found.may_answer && !you) {
    app.joining.next = `/m/permissions/${id}/${purpose}`;
    return responsibility(app, { child: id });
  }
  const mayAgree = found.may_answer && you === "yes";
  if (!mayAgree && own.answer !== "yes") return cannot(app, id); // a yes of theirs they may take back all the same
  const draft = drafts.find((one) => one.purpose === purpose);
  const language = own.languages.includes(app.words.meta.code) ? app.words.meta.code : "en";
  const text = await app.client.read(`/documents/${own.document_id}?language=${language}&child_id=${id}`);
  const shown = documentOf(app, text);
  let listened = false;
  const answer = radios({
    name: "answer", label: t("question.label"), hint: t("question.hint"),
    value: !mayAgree ? "" : draft ? (draft.body.says_yes ? "yes" : "no") : own.needs_answer ? "" : own.answer ?? "",
    choices: [...(mayAgree ? [/** @type {[string, string]} */ (["yes", t("question.yes")])] : []), ["no", t("question.no")]],
  });
  const why = radios({
    name: "why", label: t("question.why"), value: draft?.body.reason ?? "",
    choices: ["privacy", "home", "belief", "childs-wish", "other"].map((each) => [each, t(`question.why.${each}`)]),
  });
  const open = () => { why.node.hidden = answer.value() !== "no"; };
  answer.node.addEventListener("change", open);
  open();
  return {
    title: text.title, caption: t("question.number", { number: number + 1, of: found.permissions.length,
      name: found.child.name }),
    back: `/m/permissions/${id}`, tab: "permissions",
    parts: [
      mayAgree ? null : inset(h("p", {}, t("cannot.title", { office: app.me.office })), h("p", {}, t("cannot.stop"))),
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
              responsibility: you ?? "unsure", answered_at: own.answered_at ?? null,
          } });
        },
      }),
    ],
  };
}

/**
 * A first answer is saved until all are sent; another answer than before acts at once, with the same taps.
 * @param {import("../app.js").App} app @param {{found: any, own: any, body: any}} of
 */
async function keep(app, { found, own, body }) {
  const { id } = found.child;
  const draft = await app.answers.save(id, body.purpose, `/children/${id}/consent`, body);
  if (own.needs_answer && own.answer !== "yes") {
    const drafts = await app.answers.drafts(id);
    const next = found.permissions.find((/** @type {any} */ one) => one.needs_answer
      && one.purpose !== "one_to_one" && !drafts.some((each) => each.purpose === one.purpose));
    return app.go(next ? `/m/permissions/${id}/${next.purpose}` : `/m/permissions/${id}/check`);
  }
  try {
    app.joining.sent = { child: id, did: await app.answers.send([draft]) };
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

/** @param {import("../app.js").App} app @param {string} id @returns {import("../app.js").Page} */
function cannot(app, id) {
  return { title: app.t("cannot.title", { office: app.me.office }), back: `/m/permissions/${id}`, tab: "permissions",
    parts: [button(app.t("missing.home"), { href: "/m/" })] };
}
