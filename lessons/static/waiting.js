// @ts-check
/** The two states in which nobody sees or hears anybody: the waiting room, and paused. */

import { drawing, find, maybe, show, write } from "./dom.js";
import { awayWords, clock, count, heldWords } from "./words.js";

/** @typedef {import("./messages.js").State} State */

/** @param {State} state @param {boolean} staff */
export function drawLobby(state, staff) {
  if (staff) drawTicks(state.waiting);
  else drawCompany(state, state.people.some((person) => person.role === "teacher"));
}

/** @param {State["waiting"]} waiting */
function drawTicks(waiting) {
  write(find("[data-lobby-needed]"), count(waiting.needed, "pupil"));
  tick("pupils", waiting.pupils >= waiting.needed, `Pupils: ${waiting.pupils} of ${waiting.needed} needed`);
  tick("recording", waiting.recording, waiting.recording ? "Recording: ready" : "Recording: getting ready");
  tick("time", true);
}

/** What a pupil is told: numbers, never names. @param {State} state @param {boolean} teacher */
function drawCompany(state, teacher) {
  const { waiting } = state;
  write(find("[data-lobby-teacher]"), awayWords(state, "pupil")?.reason ?? (teacher ? "Your teacher is here." : "Your teacher is not here yet."));
  const almost = waiting.adults > 0 && waiting.pupils === waiting.needed - 1;
  const total = waiting.adults + waiting.pupils;
  const here = total === 1 ? "1 person is here." : `${total} people are here.`;
  write(find("[data-lobby-count]"), `${almost ? "We are waiting for one more person. " : ""}${here}`);
}

/** @param {string} name @param {boolean} done @param {string} [words] */
function tick(name, done, words) {
  const item = find(`[data-tick="${name}"]`);
  drawing(item, done ? "tick" : "waiting");
  item.classList.toggle("x-ticks__done", done);
  if (words) write(find("span", item), words);
}

/**
 * @param {State} next
 * @param {{staff: boolean, starts: string, office: string, alone: import("./alone.js").Alone | null}} facts
 * @returns {string} why
 */
export function drawHeld(next, { staff, starts, office, alone }) {
  const who = staff ? "teacher" : "pupil";
  const words = awayWords(next, who) ?? heldWords(next.hold, { who, starts, ends: clock(next.ends_at), office });
  write(find("[data-held-reason]"), words.reason);
  const help = next.hold[0] === "lone-adult" && !next.breakouts ? maybe("[data-held-help]") : null;
  if (staff) show(maybe("[data-held-help]"), Boolean(help && alone));
  if (staff) alone?.offer(help);
  else write(find("[data-held-grown-up]"), words.nearby);
  return words.reason;
}
