// @ts-check
/** After five minutes in which nobody did anything the app locks itself; a minute before, it asks (policy: AC2). */

import { h } from "./dom.js";
import { button } from "./parts.js";

const LOCKS_AFTER = 5 * 60_000;
const ASKS_AT = 4 * 60_000;
const LOOKS_EVERY = 5_000;

/** @param {import("./app.js").App} app */
export async function watchIdle(app) {
  let seen = Date.now();
  const before = await app.store.get("seen");
  if (before && Date.now() - before > LOCKS_AFTER) await app.client.lock();
  /** @type {HTMLDialogElement | null} */
  let asking = null;
  const here = () => {
    if (Date.now() - seen > LOCKS_AFTER) return; // too late: the next look locks it
    seen = Date.now();
    app.store.set("seen", seen);
    asking?.close();
  };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, here);
  here();

  const look = async () => {
    if (!(await app.client.isSignedIn())) return;
    if (app.isInCall) here();
    const idle = Date.now() - seen;
    if (idle > LOCKS_AFTER) {
      asking?.close();
      await app.lock();
      seen = Date.now();
    } else if (idle > ASKS_AT && !asking) {
      asking = ask(app);
      asking.addEventListener("close", () => {
        asking?.remove();
        asking = null;
      });
    }
  };
  setInterval(look, LOOKS_EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || look());
}

/** @param {import("./app.js").App} app */
function ask(app) {
  const title = h("h2", { id: "idle-title" }, app.t("idle.title"));
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "idle-title" }, title,
    h("p", {}, app.t("idle.text")), button(app.t("idle.stay")), h("p", {}, button(app.t("idle.lock"), { kind: "plain",
      click: () => app.lock() }))));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
