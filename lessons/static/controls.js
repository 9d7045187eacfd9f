// @ts-check
/** X-ControlBar: which controls are there in a state, and which are on. A toggle keeps its name; `aria-pressed` says the rest. */

import { all, drawing, mark, maybe, show } from "./dom.js";

/** @typedef {import("./messages.js").Person} Person */

/**
 * @param {object} now
 * @param {string} now.view
 * @param {Person | null} now.mine
 * @param {{microphone: boolean, camera: boolean, screen: boolean}} now.want
 * @param {boolean} now.blur
 * @param {boolean} now.mayShare
 * @param {(tab: "chat" | "people") => boolean} now.isOpen
 */
export function drawControls({ view, mine, want, blur, mayShare, isOpen }) {
  for (const control of all(".x-control")) show(control, (control.dataset.in ?? "").split(" ").includes(view));
  for (const name of /** @type {const} */ (["microphone", "camera"])) {
    press(name, want[name], name === "camera" && Boolean(mine?.camera_stopped));
    const control = maybe(`.x-control[data-do="${name}"]`);
    if (control) drawing(control, want[name] ? name : `${name}-off`);
  }
  press("share", want.screen);
  press("hand", (mine?.hand ?? null) !== null);
  press("chat", isOpen("chat"));
  press("people", isOpen("people"));
  for (const control of all('[data-do="blur"]')) mark(control, "aria-pressed", String(blur));
  const shares = view === "open" && mayShare && "getDisplayMedia" in (navigator.mediaDevices ?? {});
  for (const control of all('[data-do="share"]')) show(control, shares);
}

/** @param {string} name @param {boolean} pressed @param {boolean} [disabled] */
function press(name, pressed, disabled = false) {
  const control = maybe(`.x-control[data-do="${name}"]`);
  if (!control) return;
  mark(control, "aria-pressed", String(pressed));
  if (disabled) mark(control, "aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
}
