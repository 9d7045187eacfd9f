// @ts-check
/** The inbox of alerts, kept up to date while it is open. */

import { ask, cell, element, every, link, replaceRows, rowHeader } from "./poll.js";

const EVERY = 3000;

/** @param {{id: string, at: string, kind: string, owner: string, mine: boolean, late: string}} row */
function rowOf(row) {
  const waiting = element("strong", "govuk-tag govuk-tag--yellow", row.late);
  return element("tr", "govuk-table__row", rowHeader(link(`/safeguarding/${row.id}`, row.at)), cell("Kind", row.kind),
    cell("Owner", row.mine ? "You" : row.owner || waiting));
}

let shown = "";

/** @param {HTMLElement} body */
async function refreshInbox(body) {
  const rows = await ask("/safeguarding/rows");
  const now = JSON.stringify(rows);
  if (now === shown) return;
  shown = now;
  replaceRows(body, rows.map(rowOf));
  const frame = document.getElementById("alerts-frame");
  const empty = document.getElementById("alerts-empty");
  if (frame) frame.hidden = !rows.length;
  if (empty) empty.hidden = Boolean(rows.length);
}

every(EVERY, async () => {
  const body = document.getElementById("alerts");
  if (body) await refreshInbox(body);
});
