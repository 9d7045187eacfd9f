// @ts-check
/** What is around every page: the way home, the language, the tabs; where focus goes and what the title says. */

import { h, filled, icon } from "./dom.js";
import { link } from "./parts.js";

const TABS = /** @type {const} */ ([["home", "/m/"], ["permissions", "/m/permissions"], ["messages", "/m/messages"], ["more",
  "/m/more"]]);

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {string} id @param {(string | Node)[]} parts
 * @param {boolean} quiet what is there and would be the same is not touched: nobody's reading is disturbed for nothing
 */
function draw(id, parts, quiet) {
  const there = part(id);
  const wanted = /** @type {HTMLElement} */ (there.cloneNode(false));
  wanted.append(...parts);
  if (!quiet || !wanted.isEqualNode(there)) there.replaceChildren(...wanted.childNodes);
}

const STOPS = "h1, a[href], button:not([hidden]), input, select, textarea";

/** @param {HTMLElement} one */
const known = (one) => `${one.tagName} ${one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent}`;

/** Where somebody is, as a way back there once the page is drawn anew: to the same link or button, or to what is in its place. */
function place() {
  const was = /** @type {HTMLElement | null} */ (document.activeElement);
  const id = was?.closest("#bar, #tabs, #main")?.id;
  if (!was || !id) return () => {};
  const stops = () => /** @type {HTMLElement[]} */ ([...part(id).querySelectorAll(STOPS)]);
  const alike = () => stops().filter((one) => known(one) === known(was));
  const [order, position] = [alike().indexOf(was), stops().indexOf(was)];
  return () => {
    const same = alike();
    const next = same[order] ?? same[0] ?? stops()[position] ?? part("main").querySelector("h1");
    if (!was.isConnected) /** @type {HTMLElement | null} */ (next)?.focus({ preventScroll: true });
  };
}

/**
 * @param {import("./app.js").App} app
 * @param {import("./app.js").Page} page
 * @param {boolean} quiet
 */
export function frame(app, page, quiet) {
  const refocus = quiet ? place() : () => {};
  document.title = `${page.title} - ${app.t("app")}`;
  part("skip").textContent = app.t("skip");
  draw("bar", [
    h("a", { href: "/m/", class: "brand" }, app.t("app")),
    h("a", { href: "/m/language", class: "language" }, icon("language"), h("span", {}, app.words.meta.name))], quiet);
  draw("tabs", page.alone ? [] : [tabs(app, page.tab ?? "")], quiet);
  document.body.classList.toggle("alone", Boolean(page.alone));
  const back = page.back ? h("a", { href: page.back, class: "back" }, app.t("back")) : null;
  const caption = page.caption ? h("p", { class: "caption" }, page.caption) : null;
  const title = page.bare ? null : h("h1", { tabindex: "-1" }, page.title);
  const exit = page.exit ? h("button", { type: "button", class: "button warning exit", click: exitNow }, app.t("exit")) : null;
  draw("main", filled([exit, back, caption, title, page.parts]), quiet);
  if (!quiet) {
    scrollTo(0, 0);
    part("main").querySelector("h1")?.focus({ preventScroll: true });
  }
  refocus();
  document.documentElement.dataset.page = page.name ?? location.pathname;
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn ?? 0) + 1);
}

/** Whoever must not see this page sees another at once; “back” does not come here again. */
function exitNow() {
  document.body.replaceChildren();
  location.replace("https://www.bbc.co.uk/weather");
}

/** @param {import("./app.js").App} app @param {string} here */
function tabs(app, here) {
  return h("nav", { class: "tabs", "aria-label": app.t("tabs") }, h("ul", {}, ...TABS.map(([name, href]) => {
    const count = name === "messages" ? app.me?.unread ?? 0 : name === "permissions" ? app.me?.questions ?? 0 : 0;
    const words = h("span", {}, app.t(`tab.${name}`));
    const mark = count ? h("span", { class: "count" }, h("span", { "aria-hidden": "true" }, String(count)),
      h("span", { class: "hidden" }, ` ${app.t(`tab.${name}.count`, { count })}`)) : null;
    const tab = link(href, "", { class: "tab", "aria-current": name === here ? "page" : null });
    tab.append(...filled([icon(name), words, mark]));
    return h("li", {}, tab);
  })));
}
