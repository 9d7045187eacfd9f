// @ts-check
/**
 * What calls somebody now, on every page they have open (policy: RC1). One tab of a browser waits for news and tells the
 * others, since a browser keeps six connections to a site and no more; when that tab closes, the next takes its place.
 */

import { ask, element, link } from "./poll.js";

/**
 * @typedef {{label: string, words: string, href: string, action: string}} Banner
 * @typedef {{banners: Banner[], shown: string, again: number}} Told
 */

const place = document.getElementById("banners");
const name = `chaperone-banners-${place?.dataset.of ?? ""}`;
const tabs = new BroadcastChannel(name);
const inALesson = Boolean(document.querySelector("main[data-room]"));
const SETTLED = 1000; // milliseconds in which the page loads, before a request is left open
let over = false;

/** @param {Banner} banner */
function boxOf(banner) {
  const open = link(banner.href, banner.action);
  open.className = "govuk-notification-banner__link";
  const box = element("div", "govuk-notification-banner govuk-!-margin-top-4",
    element("div", "govuk-notification-banner__content", element("p", "govuk-notification-banner__heading", `${banner.words} `, open, ".")));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", banner.label);
  return box;
}

/** @param {Told} told */
function show(told) {
  if (!place || place.dataset.shown === told.shown) return;
  const focused = place.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
  place.dataset.shown = told.shown;
  place.replaceChildren(...told.banners.map(boxOf));
  openBeside();
  if (focused) /** @type {HTMLElement | null} */ (place.querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
}

/** Whoever teaches stays in the lesson. */
function openBeside() {
  if (!inALesson) return;
  for (const open of place?.querySelectorAll("a") ?? []) open.target = "_blank";
}

/** @param {string} more @returns {Promise<Told>} */
const news = (more) => ask(`/banners?of=${place?.dataset.of ?? ""}&${more}`);

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** @param {unknown} error whether somebody else, or nobody, is signed in */
const isOver = (error) => error instanceof Error && /^4/.test(error.message);

function end() {
  over = true;
  place?.replaceChildren();
}

/** Wait for news, for as long as this page lives. */
async function listen() {
  let failures = 0;
  while (!over) {
    try {
      const told = await news(`shown=${place?.dataset.shown ?? ""}`);
      failures = 0;
      show(told);
      tabs.postMessage(told);
      await pause(told.again * 1000);
    } catch (error) {
      if (isOver(error)) return end();
      await pause(Math.min(30_000, 1000 * 2 ** failures++));
    }
  }
  return undefined;
}

async function look() {
  if (over) return;
  await news("wait=false").then(show).catch((error) => { if (isOver(error)) end(); });
}

tabs.addEventListener("message", (event) => { if (!over) show(event.data); });
addEventListener("pageshow", (event) => { if (event.persisted) void look(); });
openBeside();
void look();
setTimeout(() => void (navigator.locks ? navigator.locks.request(name, listen) : listen()), SETTLED);
