// @ts-check
/** “Make the passkey” on the account pages: the device makes one for the challenge that the page carries. */

import { create, field, supported } from "./passkeys.js";

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (part("passkey-form"));
const press = /** @type {HTMLButtonElement} */ (part("passkey-press"));
const problems = [part("passkey-problem"), part("passkey-known")];

press.hidden = !supported;
part("passkey-impossible").hidden = supported;
press.addEventListener("click", async () => {
  for (const each of problems) each.hidden = true;
  press.disabled = true;
  try {
    const asked = JSON.parse(form.dataset.options ?? "");
    const credential = await create(asked.publicKey);
    field(form, "passkey").value = JSON.stringify({ ticket: asked.ticket, credential });
    form.requestSubmit();
  } catch (error) {
    const isKnown = error instanceof DOMException && error.name === "InvalidStateError";
    part(isKnown ? "passkey-known" : "passkey-problem").hidden = false;
  }
  press.disabled = false;
});
