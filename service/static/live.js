// @ts-check
/** “Live now”, kept up to date. The server says what each row shows. */

import { ask, cell, element, every, link, replaceRows, rowHeader } from "./poll.js";

const EVERY = 2000;
/** @type {Record<string, string>} */
const COLOURS = { "Paused": "yellow", "Open": "green", "Waiting room": "blue" };

/**
 * @typedef {{id: string, title: string, group: string, teacher: string, state: string, why: string, paused: number,
 *   adults: number, pupils: number, recorded: boolean, left: number}} Row
 */

/** @param {number} number @param {string} one */
const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

/** @param {Row} row */
function rowOf(row) {
  const state = element("strong", `govuk-tag govuk-tag--${COLOURS[row.state] ?? "grey"}`, row.state);
  const made = element("tr", "govuk-table__row",
    rowHeader(row.title),
    cell("State", state, row.why ? ` ${row.why}, ${count(row.paused, "minute")}` : ""),
    cell("Class", `${row.group}, ${row.teacher}`),
    cell("Who is here", `${count(row.adults, "adult")}, ${count(row.pupils, "pupil")}`),
    cell("Recording", row.recorded ? "Recorded" : "Not recording"),
    cell("Time left", count(row.left, "minute")),
    cell("", link(`/lessons/${row.id}`, "Join", ` ${row.title}`), element("br", ""),
      link(`/live/${row.id}/stop`, "Stop lesson", `: ${row.title}`)));
  made.dataset.lesson = row.id;
  return made;
}

let shown = "";

every(EVERY, async () => {
  /** @type {{rows: Row[], next: string}} */
  const told = await ask("/live/rows");
  const now = JSON.stringify(told);
  const body = document.getElementById("live-rows");
  if (!body || now === shown) return;
  shown = now;
  replaceRows(body, told.rows.map(rowOf));
  const [frame, empty, next] = ["live-frame", "live-empty", "live-next"].map((id) => document.getElementById(id));
  if (frame) frame.hidden = !told.rows.length;
  if (empty) empty.hidden = Boolean(told.rows.length);
  if (next) next.textContent = told.next ? ` Next: ${told.next}.` : "";
});
