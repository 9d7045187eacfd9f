// @ts-check
/**
 * The safeguarding banner, kept up to date on every page of those who may open alerts, and the inbox when it is open.
 *
 * It learns only that something waits and since when: the screen may be shared. What it asks for by itself keeps nobody
 * signed in (the header says so).
 */

const EVERY = 3000;

/** @param {string} path */
async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json", "chaperone-background": "yes" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/**
 * @param {string} name
 * @param {string} className
 * @param {(Node | string)[]} children
 */
function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

/** @param {{waiting: number, since: string}} told */
function showBanner(told) {
  const banner = document.getElementById("alert-banner");
  const now = told.waiting ? `Safeguarding alert, ${told.since}. ` : "";
  if (!banner || banner.dataset.shown === now) return;
  banner.dataset.shown = now;
  if (!now) return banner.replaceChildren();
  const link = /** @type {HTMLAnchorElement} */ (element("a", "govuk-notification-banner__link", "Open"));
  link.href = "/safeguarding";
  const box = element("div", "govuk-notification-banner govuk-!-margin-top-4",
    element("div", "govuk-notification-banner__content", element("p", "govuk-notification-banner__heading", now, link, ".")));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Safeguarding alert");
  banner.replaceChildren(box);
}

/** @param {{id: string, at: string, kind: string, owner: string, mine: boolean, late: boolean}} row */
function rowOf(row) {
  const link = /** @type {HTMLAnchorElement} */ (element("a", "govuk-link", row.at));
  link.href = `/safeguarding/${row.id}`;
  const time = element("th", "govuk-table__header", link);
  time.setAttribute("scope", "row");
  const kind = element("td", "govuk-table__cell", row.kind);
  kind.dataset.label = "Kind";
  const owner = element("td", "govuk-table__cell",
    row.mine ? "You" : row.owner || element("strong", "govuk-tag govuk-tag--yellow", row.late ? "Late" : "New"));
  owner.dataset.label = "Owner";
  return element("tr", "govuk-table__row", time, kind, owner);
}

let shownRows = "";

/** @param {HTMLElement} body */
async function refreshInbox(body) {
  const rows = await ask("/safeguarding/rows");
  const now = JSON.stringify(rows);
  if (now === shownRows) return;
  shownRows = now;
  const focused = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.getAttribute("href") : null;
  body.replaceChildren(...rows.map(rowOf));
  if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
  const frame = document.getElementById("alerts-frame");
  const empty = document.getElementById("alerts-empty");
  if (frame) frame.hidden = !rows.length;
  if (empty) empty.hidden = Boolean(rows.length);
}

async function refresh() {
  try {
    showBanner(await ask("/safeguarding/feed"));
    const body = document.getElementById("alerts");
    if (body) await refreshInbox(body);
  } catch {
    // The next turn asks again; signing out or a lost connection is told by the next page.
  }
  setTimeout(refresh, EVERY);
}

setTimeout(refresh, EVERY);
