// @ts-check
/** Approved one-to-ones: what it would be, who said yes, and the family's own answer (document 5). */

import { h } from "../dom.js";
import { button, facts, form, inset, listen, radios, tag, tasks } from "../parts.js";
import { Problem } from "../protocol.js";
import { documentOf, onlyNo, responsibility } from "./permission.js";

/** @type {import("../routes.js").View} */
export async function oneToOnes(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const found = (await app.client.read(`/children/${id}/one-to-ones`)).one_to_ones;
  const { may_answer: asked } = await app.client.read(`/children/${id}/consent`);
  return {
    title: t("one-to-ones.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [found.length ? tasks(found.map((/** @type {any} */ one) => /** @type {[string, string, Node]} */ ([
      `/m/one-to-ones/${id}/${one.lesson_id}`, `${one.alone.adult}, ${words.moment(one.starts_at)}`,
      one.answer ? h("span", {}, t(one.answer)) : asked ? tag(t("permissions.to-do"), "warn") : h("span", {},
        t("permissions.none"))]))) : h("p", {}, t("one-to-ones.none"))],
  };
}

/** @type {import("../routes.js").View} */
export async function oneToOne(app, { child: id = "", lesson: lessonId = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const one = (await app.client.read(`/children/${id}/one-to-ones`)).one_to_ones.find((/** @type {any} */ each) => each.lesson_id === lessonId);
  if (!one) return app.missing();
  const found = await app.client.read(`/children/${id}/consent`);
  const you = app.joining.you?.[id] ?? found.responsibility;
  app.joining.next = `/m/one-to-ones/${id}/${lessonId}`;
  if (found.may_answer && !you) {
    return responsibility(app, { child: id });
  }
  const mayAgree = found.may_answer && you === "yes";
  const when = `${words.moment(one.starts_at)} – ${words.time(one.ends_at)}`;
  const text = one.document_id ? await readable(app, one.document_id, id) : null;
  const shown = text ? documentOf(app, text) : null;
  let listened = false;
  const answer = radios({ name: "answer", label: t("question.label"), hint: t("question.hint"), value: one.answer ?? "",
    choices: [...(mayAgree ? [/** @type {[string, string]} */ (["yes", t("question.yes")])] : []), ["no", t("question.no")]] });
  const there = radios({ name: "there", label: t("one-to-one.there"), value: one.will_be_there === null ? "" : one.will_be_there
    ? "yes" : "no", choices: [["yes", t("yes")], ["no", t("no")]] });
  const said = app.joining.answered === lessonId;
  const isOpen = one.status === "planned" || one.status === "open";
  const { rests_until: rests } = found.permissions.find((/** @type {any} */ each) => each.purpose === "one_to_one") ?? {};
  return {
    title: t("one-to-one.title"), caption: child.name, back: `/m/one-to-ones/${id}`, tab: "more",
    parts: [
      said ? inset(h("p", { role: "status" }, t(one.answer === "yes" ? "one-to-one.yes" : "one-to-one.no")), rests ? h("p", {},
        t("follows.starts-later", { time: words.moment(rests) })) : null) : null,
      facts([[t("one-to-one.what"), t("one-to-one.alone", { name: child.name, adult: one.alone.adult })], [t("one-to-one.when"),
        when],
        [t("one-to-one.why"), one.alone.why], [t("one-to-one.who"), one.alone.approver]]),
      shown ? listen(app, text.language, () => shown.textContent ?? "", () => { listened = true; }) : null, shown,
      h("p", {}, t("one-to-one.all", { name: child.name })),
      isOpen && !mayAgree ? onlyNo(app, found, one.answer) : null,
      isOpen && !mayAgree && (!found.may_refuse || one.answer === "no") ? null : isOpen ? form(app, {
        fields: [answer, there], send: t("save"), check: (values) => (values.answer ? {} : { answer: t("question.error") }),
        act: async (values, wish) => {
          await app.answers.replace(id, "one_to_one");
          await app.client.write("POST", `/children/${id}/one-to-ones/${lessonId}`, {
            says_yes: values.answer === "yes", document_id: one.document_id, language: text?.language ?? "en", listened,
              responsibility: you ?? null,
            will_be_there: values.there ? values.there === "yes" : null,
          }, { wish });
          app.joining.answered = lessonId;
          await app.who(true);
          await app.show();
          delete app.joining.answered;
        },
      }) : h("p", {}, t(`lesson.${one.status}`)),
    ],
  };
}

/** In the reader's language where somebody answers for the words, else in English. @param {import("../app.js").App} app @param {string} id @param {string} child */
async function readable(app, id, child) {
  try {
    return await app.client.read(`/documents/${id}?language=${app.words.meta.code}&child_id=${child}`);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    return app.client.read(`/documents/${id}?language=en&child_id=${child}`);
  }
}
