// @ts-check
/** What kind of phone this is. Used for what to say, never for what may be done. */

/** @returns {"ios" | "android" | "other"} */
export function platform() {
  const agent = navigator.userAgent;
  if (/iPhone|iPad|iPod/.test(agent)) return "ios";
  return /Android/.test(agent) ? "android" : "other";
}

/** Whether it was opened from the home screen. */
export const isInstalled = () =>
  matchMedia("(display-mode: standalone)").matches || /** @type {any} */ (navigator).standalone === true;
