// @ts-check
/**
 * The safeguarding banner, kept up to date on every page of those who may open alerts, and the inbox when it is open.
 * It learns only that something waits and since when: the screen may be shared.
 */

import { ask, cell, element, every, link, replaceRows, rowHeader } from "./poll.js";

const EVERY = 3000;

/** @param {{waiting: number, since: string}} told */
function showBanner(told) {
  const banner = document.getElementById("alert-banner");
  const now = told.waiting ? `Safeguarding alert, ${told.since}. ` : "";
  if (!banner || banner.dataset.shown === now) return;
  banner.dataset.shown = now;
  if (!now) return banner.replaceChildren();
  const open = link("/safeguarding", "Open");
  open.className = "govuk-notification-banner__link";
  const box = element("div", "govuk-notification-banner govuk-!-margin-top-4",
    element("div", "govuk-notification-banner__content", element("p", "govuk-notification-banner__heading", now, open, ".")));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Safeguarding alert");
  banner.replaceChildren(box);
}

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
  showBanner(await ask("/safeguarding/feed"));
  const body = document.getElementById("alerts");
  if (body) await refreshInbox(body);
});
