// @ts-check
/** What is around every page: the way home, the language, the tabs; where focus goes and what the title says. */

import { h, filled, icon } from "./dom.js";
import { link } from "./parts.js";

const TABS = /** @type {const} */ ([["home", "/m/"], ["permissions", "/m/permissions"], ["messages", "/m/messages"], ["more",
  "/m/more"]]);

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {import("./app.js").App} app
 * @param {import("./app.js").Page} page
 * @param {boolean} quiet
 */
export function frame(app, page, quiet) {
  const main = part("main");
  const focused = quiet ? document.activeElement?.id : "";
  document.title = `${page.title} - ${app.t("app")}`;
  part("skip").textContent = app.t("skip");
  part("bar").replaceChildren(
    h("a", { href: "/m/", class: "brand" }, app.t("app")),
    h("a", { href: "/m/language", class: "language" }, icon("language"), h("span", {}, app.words.meta.name)));
  part("tabs").replaceChildren(...(page.alone ? [] : [tabs(app, page.tab ?? "")]));
  document.body.classList.toggle("alone", Boolean(page.alone));
  const back = page.back ? h("a", { href: page.back, class: "back" }, app.t("back")) : null;
  const caption = page.caption ? h("p", { class: "caption" }, page.caption) : null;
  const title = page.bare ? null : h("h1", { tabindex: "-1" }, page.title);
  const exit = page.exit ? h("button", { type: "button", class: "button warning exit", click: exitNow }, app.t("exit")) : null;
  main.replaceChildren(...filled([exit, back, caption, title, page.parts]));
  if (!quiet) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  } else if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
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
