// X-Timeout: asks whether somebody is still there before the server signs them out (policy: AC2). The server decides; this
// page only asks it, in a way that does not count as doing something, and shows what it says. Other pages of the same
// person, and being in a room, count there, so this never ends a sign-in that is in use. Where nobody answers (a laptop wakes
// before its network) what is on the screen is covered once the time is up, until somebody does.
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("still-there"));
const left = document.getElementById("still-there-left");
const spoken = document.getElementById("still-there-spoken");
const WARN_AT = 120;
const SPEAK_AT = [120, 60, 20];

const words = document.getElementById("still-there-words");
const covered = document.getElementById("still-there-covered");
const page = document.querySelector("main");
const PATIENCE = 5000;

let ends = 0;
let minutes = 0;
let said = Infinity;
let isLeaving = false;

const remaining = () => Math.max(0, Math.round((ends - Date.now()) / 1000));
const inWords = (seconds) => (seconds > 60 ? "2 minutes" : seconds > 20 ? "1 minute" : `${seconds} second${seconds === 1 ? "" : "s"}`);

/** @param {boolean} background whether asking must not count as activity */
async function ask(background) {
  const answer = await fetch("/session", {
    headers: { accept: "application/json", ...(background ? { "chaperone-background": "1" } : {}) }, cache: "no-store", redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.status >= 500) throw new Error("nobody answers");
  if (!answer.ok) return leave();
  const told = await answer.json();
  ends = Date.now() + told.seconds_left * 1000;
  minutes = told.idle_minutes;
}

function leave() {
  isLeaving = true;
  cover(true);
  location.assign(`/signed-out?idle=${minutes}`);
}

/** Nothing typed is lost by it: the page is still there, and shows again if the sign-in has not ended. @param {boolean} is */
function cover(is) {
  if (page) page.style.display = is ? "none" : "";
  words.hidden = is;
  covered.hidden = !is;
  if (is && !dialog.open) dialog.showModal();
}

async function look() {
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
  if (remaining() > 0 && !isLeaving) cover(false);
  if (dialog.open && remaining() > WARN_AT) dialog.close();
}

/** Looks again whatever happened: a failure ends one look, never the looking. */
async function tick() {
  try {
    await look();
  } catch {
    if (ends && remaining() <= 0) cover(true);
  }
  setTimeout(tick, isLeaving || !ends || (covered.hidden && remaining() > WARN_AT + 30) ? 15000 : 1000);
}

dialog.addEventListener("close", () => {
  said = Infinity;
  if (!isLeaving && remaining() <= WARN_AT) ask(false).catch(() => undefined);
});
dialog.querySelector("button").addEventListener("click", () => dialog.close());
tick();
