// @ts-check
/** Going out of a lesson: what is asked before, and what the page says after. */

import { all, ask, dialogOf, find, maybe, show, write } from "./dom.js";
import { count, endedWords, isAdult } from "./words.js";

/** @typedef {import("./messages.js").State} State */

const ENDS = "Everybody leaves, and recording stops. It cannot start again.";

/** Whether to leave: only the last adult of an open room is asked, because it pauses for everyone. @param {State | null} state @param {string} me */
export async function mayLeave(state, me) {
  const adults = state?.people.filter((person) => isAdult(person) && person.role !== "guest") ?? [];
  const last = state?.room === "open" && adults.length === 1 && adults[0]?.person === me;
  const dialog = dialogOf("last-adult");
  return !last || !dialog || ask(dialog);
}

/** @param {State | null} state @param {string} title @param {boolean} breakout only this room of the lesson */
export async function mayEnd(state, title, breakout) {
  const dialog = dialogOf("end");
  if (!dialog) return false;
  const here = state?.people.filter((person) => !isAdult(person)).length ?? 0;
  const pupils = state?.room === "lobby" ? state.waiting.pupils : here;
  write(find("[data-end-heading]", dialog), `End ${title} for ${count(pupils, "pupil")}?`);
  write(find("[data-end-words]", dialog), breakout ? "Everybody in this room goes back to the main room." : ENDS);
  return ask(dialog);
}

/** The reason a leader gives for stopping a lesson; null when they think better of it. @returns {Promise<string | null>} */
export async function stopReason() {
  const dialog = dialogOf("stop");
  if (!dialog || !(await ask(dialog))) return null;
  const form = dialog.querySelector("form");
  return form ? String(new FormData(form).get("reason") ?? "").trim() : "";
}

/**
 * The page of somebody who is out.
 * @param {string} reason
 * @param {{staff: boolean, detail: string, megabytes: number}} facts
 * @returns {string} the heading
 */
export function drawEnded(reason, { staff, detail, megabytes }) {
  const words = endedWords(reason, staff);
  write(find("[data-ended-heading]"), words.heading);
  write(find("[data-ended-words]"), detail || words.words);
  write(find("[data-ended-usage]"), megabytes > 0 ? `You used ${megabytes} MB.` : "");
  show(maybe('[data-do="rejoin"]'), words.rejoin);
  show(maybe("[data-ended-attendance]"), !words.rejoin);
  for (const dialog of all("dialog")) if (dialog instanceof HTMLDialogElement) dialog.close("no");
  return words.heading;
}
