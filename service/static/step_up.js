// @ts-check
/**
 * “Confirm with your passkey” on any form that holds the step-up fields (people/step_up/fields.html): asks for a challenge
 * made for exactly this action, lets the authenticator answer, and sends the form with the answer in it.
 */

import { challenge, field, prove, supported } from "./passkeys.js";

/** @param {HTMLElement} part */
function prepare(part) {
  const press = /** @type {HTMLButtonElement | null} */ (part.querySelector("[data-step-up-passkey]"));
  const problem = /** @type {HTMLElement | null} */ (part.querySelector("[data-step-up-problem]"));
  const form = part.closest("form");
  if (!press || !problem || !form || !supported) return;
  press.hidden = false;
  press.addEventListener("click", async () => {
    problem.hidden = press.disabled = true;
    try {
      const asked = await challenge("/step-up/challenge", { action: field(form, "step_up_action").value });
      const credential = await prove(asked.publicKey);
      field(form, "step_up_assertion").value = JSON.stringify({ ticket: asked.ticket, credential });
      form.requestSubmit();
    } catch {
      problem.hidden = false;
      press.disabled = false;
    }
  });
}

for (const part of document.querySelectorAll("[data-step-up]")) prepare(/** @type {HTMLElement} */ (part));
