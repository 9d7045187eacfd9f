// X-Timeout: asks whether somebody is still there before the server signs them out (policy: AC2). The server decides; this
// page only asks it, in a way that does not count as doing something, and shows what it says. Other pages of the same
// person, and being in a room, count there, so this never ends a sign-in that is in use.
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("still-there"));
const left = document.getElementById("still-there-left");
const spoken = document.getElementById("still-there-spoken");
const WARN_AT = 120;
const SPEAK_AT = [120, 60, 20];

let ends = 0;
let minutes = 0;
let said = Infinity;

const remaining = () => Math.max(0, Math.round((ends - Date.now()) / 1000));
const inWords = (seconds) => (seconds > 60 ? "2 minutes" : seconds > 20 ? "1 minute" : `${seconds} second${seconds === 1 ? "" : "s"}`);

/** @param {boolean} background whether asking must not count as activity */
async function ask(background) {
  const answer = await fetch("/session", {
    headers: { accept: "application/json", ...(background ? { "chaperone-background": "1" } : {}) }, cache: "no-store", redirect: "manual",
  });
  if (!answer.ok) return leave();
  const told = await answer.json();
  ends = Date.now() + told.seconds_left * 1000;
  minutes = told.idle_minutes;
}

function leave() {
  location.assign(`/signed-out?idle=${minutes}`);
}

async function tick() {
  if (remaining() <= WARN_AT && !dialog.open) await ask(true);
  const seconds = remaining();
  if (seconds <= 0) {
    await ask(true);
    if (remaining() <= 0) return leave();
  } else if (seconds <= WARN_AT) {
    if (!dialog.open) dialog.showModal();
    left.textContent = inWords(seconds);
    const mark = SPEAK_AT.findLast((at) => seconds <= at);
    if (mark !== undefined && mark < said) {
      said = mark;
      spoken.textContent = `We will sign you out in ${inWords(mark)}.`;
    }
    if (seconds % 10 === 0) await ask(true);
  }
  if (dialog.open && remaining() > WARN_AT) dialog.close();
  setTimeout(tick, remaining() > WARN_AT + 30 ? 15000 : 1000);
}

dialog.addEventListener("close", () => {
  said = Infinity;
  if (remaining() <= WARN_AT) ask(false).catch(() => undefined);
});
dialog.querySelector("button").addEventListener("click", () => dialog.close());
ask(true).then(tick).catch(() => undefined);
