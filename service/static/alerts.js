// @ts-check
/** The review queue, kept up to date while it is open. */

import { ask, cell, element, every, link, replaceRows, rowHeader } from "./poll.js";

const EVERY = 3000;

/** @typedef {{id: string, at: string, kind: string, owner: string, mine: boolean, late: string, times: number, severity: string,
 *   handed_to: string, to_me: boolean, waits_for: boolean}} Row */

/** @param {Row} row */
function ownerOf(row) {
  if (row.to_me) return [element("strong", "govuk-tag govuk-tag--yellow", "Handed to you"), ` by ${row.owner}`];
  const owner = row.mine ? "You" : row.owner;
  if (row.handed_to) return [`${owner}, handed to ${row.handed_to}`];
  return [owner || element("strong", "govuk-tag govuk-tag--yellow", row.late)];
}

/** @param {Row} row */
function rowOf(row) {
  const waits = row.waits_for ? [" ", element("strong", "govuk-tag govuk-tag--blue", "Waits for somebody")] : [];
  return element("tr", "govuk-table__row", rowHeader(link(`/safeguarding/${row.id}`, row.at)),
    cell("Kind", row.times > 1 ? `${row.kind}, ${row.times} times` : row.kind), cell("How serious", row.severity),
    cell("Owner", ...ownerOf(row), ...waits));
}

let shown = "";

/** @param {HTMLElement} body */
async function refresh(body) {
  const found = await ask(`/safeguarding/rows?tab=${body.dataset.tab}`);
  const now = JSON.stringify(found);
  if (now === shown) return;
  shown = now;
  replaceRows(body, found.rows.map(rowOf));
  for (const each of document.querySelectorAll("[data-number]")) {
    each.textContent = `(${found.numbers[/** @type {HTMLElement} */ (each).dataset.number ?? ""]})`;
  }
  const frame = document.getElementById("alerts-frame");
  const empty = document.getElementById("alerts-empty");
  if (frame) frame.hidden = !found.rows.length;
  if (empty) empty.hidden = Boolean(found.rows.length);
}

every(EVERY, async () => {
  const body = document.getElementById("alerts");
  if (body) await refresh(body);
});
