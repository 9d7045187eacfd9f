// @ts-check
/** Permissions of each child: what waits, going through the questions in any order, checking, sending. */

import { h } from "../dom.js";
import { button, card, facts, form, link, panel, tag, tasks } from "../parts.js";
import { Problem } from "../protocol.js";
import { waitingList } from "./no.js";
import { onlyNo } from "./permission.js";
import { follows, nothing, purposeTitle, standing } from "./shared.js";

const ALONE = "one_to_one";
const REGISTER = new Set(["photographs", "publication", "teaching_practice"]);

/** @type {import("../routes.js").View} */
export async function permissions(app) {
  const { t } = app;
  const me = await app.who(true);
  if (me.children.length === 1) {
    const only = await permissionsOf(app, { child: me.children[0].id });
    return { ...only, back: "" };
  }
  const rows = await Promise.all(me.children.map(async (/** @type {any} */ child) => {
    const found = await app.client.read(`/children/${child.id}/consent`);
    const open = found.permissions.filter((/** @type {any} */ one) => one.needs_answer).length;
    return /** @type {[string, string, Node]} */ ([`/m/permissions/${child.id}`, child.name,
      open ? tag(t("permissions.open", { count: open }), "warn") : found.may_answer
      ? tag(t("permissions.done"), "good") : h("span", {}, t("permissions.not-asked"))]);
  }));
  return { title: t("permissions.title"), tab: "permissions", parts: [rows.length ? tasks(rows) : await nothing(app)] };
}

/** @type {import("../routes.js").View} */
export async function permissionsOf(app, { child: id = "" }) {
  const { t } = app;
  const found = await app.client.read(`/children/${id}/consent`);
  const kept = (await app.answers.unsent()).filter((one) => one.child === id);
  const drafts = kept.filter((one) => one.state === "draft");
  const { name } = found.child;
  const waiting = (await app.answers.waiting()).filter((one) => one.child === id);
  const open = found.permissions.filter((/** @type {any} */ one) => one.needs_answer && one.purpose !== ALONE);
  const left = open.filter((/** @type {any} */ one) => !kept.some((each) => each.purpose === one.purpose));
  return {
    title: t("permissions.for", { name }), back: "/m/permissions", tab: "permissions",
    parts: [
      ...(await waitingList(app, waiting)),
      found.may_answer ? null : onlyNo(app, found, null),
      outcome(app, found),
      found.may_answer ? h("p", {}, t(left.length ? "permissions.any-order" : drafts.length ? "permissions.all-saved"
        : "permissions.change-any-time")) : null,
      ...grouped(app, id, found.permissions, kept),
      drafts.length ? button(t("permissions.check"), { href: `/m/permissions/${id}/check` }) : null,
    ],
  };
}

/**
 * What lessons ask first, then the school's register of other permissions.
 * @param {import("../app.js").App} app @param {string} id @param {any[]} asked @param {import("../store.js").Waiting[]} kept
 */
function grouped(app, id, asked, kept) {
  const groups = /** @type {[string, any[]][]} */ ([["permissions.lessons", asked.filter((one) => !REGISTER.has(one.purpose))],
    ["permissions.register", asked.filter((one) => REGISTER.has(one.purpose))]]);
  return groups.filter(([, of]) => of.length).flatMap(([title, of]) => [h("h2", { class: "group" }, app.t(title)),
    tasks(of.map((one) => [place(id, one), purposeTitle(app, one.purpose), state(app, one, kept)]))]);
}

/** A one-to-one that waits for an answer is read about first. @param {string} id @param {any} one */
const place = (id, one) =>
  (one.purpose === ALONE && one.needs_answer ? `/m/one-to-ones/${id}` : `/m/permissions/${id}/${one.purpose}`);

/** @param {import("../app.js").App} app @param {any} one @param {import("../store.js").Waiting[]} kept not sent */
function state(app, one, kept) {
  const mine = kept.find((each) => each.purpose === one.purpose);
  if (mine) return tag(app.t(mine.state === "draft" ? "permissions.saved" : "waiting.waits"), "warn");
  if (one.needs_answer) return tag(app.t("permissions.to-do"), "warn");
  if (one.by_public_task) return h("span", {}, app.t(one.objection === "upheld" ? "object.stopped" : "object.recorded"));
  if (!one.answer) return h("span", {}, app.t("permissions.none"));
  return h("span", {}, app.t(one.answer === "yes" ? "yes" : "no"), ", ", h("span", { class: "change" }, app.t("change")));
}

/** What holds now, and never who said what. @param {import("../app.js").App} app @param {any} found */
function outcome(app, found) {
  const joint = found.outcome.filter((/** @type {any} */ one) => !one.purpose); // each answer stands beside its question
  return joint.length ? card(app.t("permissions.now"), ...standing(app, joint, found.child.name)) : null;
}

/** @type {import("../routes.js").View} */
export async function check(app, { child: id = "" }) {
  const { t } = app;
  const child = await app.child(id);
  const drafts = await app.answers.drafts(id);
  if (!drafts.length) return permissionsOf(app, { child: id });
  return {
    title: t("check.title"), caption: child.name, back: `/m/permissions/${id}`, tab: "permissions",
    parts: [
      facts(drafts.map((one) => [purposeTitle(app, one.purpose), t(one.body.says_yes ? "yes" : "no"),
        link(`/m/permissions/${id}/${one.purpose}`, t("change"),
          { "aria-label": `${t("change")}: ${purposeTitle(app, one.purpose)}` })])),
      form(app, { fields: [], send: t("check.send"), act: async () => {
        try {
          app.joining.sent = { child: id, did: await app.answers.send(drafts) };
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          await app.who(true);
          return app.go(`/m/permissions/${id}`, true); // which says what was not taken; or the agreement comes first
        }
        if (app.joining.sent.did) await app.who(true);
        await app.go(`/m/permissions/${id}/sent`, true);
      } }),
    ],
  };
}

/** @type {import("../routes.js").View} */
export async function sent(app, { child: id = "" }) {
  const { t } = app;
  const { did, next } = app.joining.sent?.child === id ? app.joining.sent : {};
  const onwards = next ? button(t("continue"), { href: next }) : null;
  if (did === undefined) return permissionsOf(app, { child: id });
  const waiting = (await app.answers.waiting()).filter((one) => one.child === id);
  if (did === null) {
    return { title: t("waiting.waits"), tab: "permissions", parts: [...(await waitingList(app, waiting)),
      onwards ?? button(t("missing.home"), { href: "/m/" })] };
  }
  const child = await app.child(id);
  const now = (did.at(-1).consent ?? (await app.client.read(`/children/${id}/consent`))).outcome;
  const done = did.flatMap((/** @type {any} */ one) => one.follows).filter((/** @type {any} */ one) => ["off-now",
    "left-lesson", "not-recorded", "objected"].includes(one.code)); // from when it counts stands below, once
  return {
    title: t("sent.title"), bare: true, tab: "permissions",
    parts: [
      panel(t("sent.title")), ...done.map((/** @type {any} */ one) => h("p", { class: "lead" }, follows(app, one, child.name))),
      ...standing(app, now, child.name),
      onwards ?? button(t("continue"), { href: "/m/" }),
    ],
  };
}
