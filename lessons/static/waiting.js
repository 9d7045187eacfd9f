// @ts-check
/** The two states in which nobody sees or hears anybody: the waiting room, and paused. */

import { drawing, find, maybe, show, write } from "./dom.js";
import { awayWords, clock, count, heldWords, lobbyWords, waitsForCompany } from "./words.js";

/** @typedef {import("./messages.js").State} State */
/**
 * `kind`: a lesson for a class, a breakout room of one, or for one pupil and one adult. `name`: of the room.
 * @typedef {{staff: boolean, starts: string, office: string, kind: import("./alone.js").RoomKind, name: string,
 *   alone: import("./alone.js").Alone | null}} Facts
 */

/** @param {State} state @param {Facts} facts @returns {string} why it is shut, where that is more than who and what is missing */
export function drawLobby(state, facts) {
  const words = lobbyWords(state.hold, circumstances(state, facts));
  write(find("[data-lobby-reason]"), words?.reason ?? "");
  show(find("[data-lobby-reason]"), words !== null);
  show(find("[data-lobby-opens]"), !words?.shut);
  const needed = facts.kind === "one-to-one" ? 1 : state.waiting.needed;
  if (facts.staff) drawTicks(state, needed);
  else drawCompany(state, needed, words !== null);
  const { adults, pupils } = state.waiting;
  offerHelp("[data-lobby-help]", state, facts, adults > 0 && pupils === 1);
  return words?.reason ?? "";
}

/** @param {State} state @param {number} needed pupils */
function drawTicks({ waiting, hold }, needed) {
  const orStaff = needed > 1 ? ", or 1 pupil and a second member of staff," : "";
  write(find("[data-lobby-needed]"), `${count(needed, "pupil")}${orStaff} ${needed === 1 ? "is" : "are"} here`);
  tick("pupils", waiting.pupils >= needed, `Pupils: ${waiting.pupils} of ${needed} needed`);
  tick("recording", waiting.recording, waiting.recording ? "Recording: ready" : "Recording: getting ready");
  tick("time", !hold.includes("outside-window"));
}

/** What a pupil is told: numbers, never names. @param {State} state @param {number} needed pupils @param {boolean} told why it is shut */
function drawCompany(state, needed, told) {
  const { waiting } = state;
  const teacher = state.people.some((person) => person.role === "teacher");
  write(find("[data-lobby-teacher]"), awayWords(state, "pupil")?.reason ?? (teacher ? "Your teacher is here." : "Your teacher is not here yet."));
  const almost = !told && waiting.adults > 0 && waiting.pupils === needed - 1;
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

/** @param {State} state @param {Facts} facts @returns {string} why */
export function drawHeld(state, facts) {
  const who = facts.staff ? "teacher" : "pupil";
  const away = awayWords(state, who);
  const words = away ?? heldWords(state.hold, circumstances(state, facts));
  write(find("[data-held-reason]"), words.reason);
  offerHelp("[data-held-help]", state, facts, away === null);
  if (!facts.staff) write(find("[data-held-grown-up]"), words.nearby);
  return words.reason;
}

/** @param {State} state @param {Facts} facts @returns {import("./words.js").Circumstances} */
const circumstances = (state, { staff, starts, office, kind }) =>
  ({ who: staff ? "teacher" : "pupil", starts, ends: clock(state.ends_at), office, oneToOne: kind === "one-to-one",
    adults: state.waiting.adults, pupils: state.waiting.pupils });

/** @param {string} place @param {State} state @param {Facts} facts @param {boolean} fits whether the people are those whom it is for */
function offerHelp(place, { hold }, { staff, kind, name, alone }, fits) {
  if (!staff) return;
  const helps = kind === "one-to-one" ? hold[0] === "approval-ended" : fits && waitsForCompany(hold) && !hold.includes("outside-window");
  const where = helps && alone ? find(place) : null;
  show(maybe(place), where !== null);
  alone?.offer(where, { kind, name });
}
