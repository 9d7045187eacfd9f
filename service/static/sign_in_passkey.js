// @ts-check
/** “Use a passkey” on the pages of signing in: the device offers the passkeys it has for this school. */

import { challenge, field, prove, supported } from "./passkeys.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("passkey-form"));
const press = /** @type {HTMLButtonElement} */ (document.getElementById("passkey-press"));
const problem = /** @type {HTMLElement} */ (document.getElementById("passkey-problem"));

form.hidden = !supported;
press.addEventListener("click", async () => {
  problem.hidden = press.disabled = true;
  try {
    const asked = await challenge("/sign-in/passkey/challenge");
    const credential = await prove(asked.publicKey);
    field(form, "passkey").value = JSON.stringify({ ticket: asked.ticket, credential });
    form.requestSubmit();
  } catch {
    problem.hidden = false;
  }
  press.disabled = false;
});
