// @ts-check
/** X-SidePanel: tabs People, Chat and Plan beside the stage; a page of its own on a phone. */

import { all, find, mark, maybe, show } from "./dom.js";

/** @typedef {"people" | "chat" | "plan"} Tab */

export class Panel {
  #panel = find("[data-panel]");
  #tabs = all('[role="tab"]', find("[data-tabs]"));
  #changed;
  /** @type {Tab} */
  #tab = "chat";

  /** @param {() => void} changed opened, closed or turned to another tab */
  constructor(changed) {
    this.#changed = changed;
    for (const tab of this.#tabs) tab.onclick = () => this.open(tabOf(tab));
    find("[data-tabs]").addEventListener("keydown", (event) => this.#arrow(event));
    find('[data-do="close-panel"]').onclick = () => this.close(true);
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close(true));
  }

  /** @param {Tab} [tab] */
  isOpen(tab) {
    return !this.#panel.hidden && (!tab || tab === this.#tab);
  }

  /** @param {Tab} tab @param {boolean} [focus] */
  open(tab, focus = false) {
    this.#tab = tab;
    show(this.#panel, true);
    for (const known of this.#tabs) {
      const chosen = tabOf(known) === tab;
      mark(known, "aria-selected", String(chosen));
      known.tabIndex = chosen ? 0 : -1;
      show(document.getElementById(`panel-${tabOf(known)}`), chosen);
      if (chosen && focus) known.focus();
    }
    this.#changed();
  }

  /** @param {boolean} [focus] give the focus back to the control that opened it */
  close(focus = false) {
    show(this.#panel, false);
    this.#changed();
    if (focus) (maybe(`.x-control-bar [data-do="${this.#tab}"]:not([hidden])`) ?? maybe('[data-do="more"]'))?.focus();
  }

  /** @param {Tab} tab */
  toggle(tab) {
    if (this.isOpen(tab)) this.close();
    else this.open(tab, true);
  }

  /** @param {KeyboardEvent} event */
  #arrow(event) {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const here = this.#tabs.findIndex((tab) => tab === document.activeElement);
    const next = this.#tabs[(here + by + this.#tabs.length) % this.#tabs.length];
    if (!by || here < 0 || !next) return;
    event.preventDefault();
    this.open(tabOf(next), true);
  }
}

/** @param {HTMLElement} tab @returns {Tab} */
function tabOf(tab) {
  const name = tab.id.replace("tab-", "");
  return name === "people" || name === "plan" ? name : "chat";
}
