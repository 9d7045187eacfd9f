// @ts-check
/**
 * The page of a call: opens the microphone, says how far the call is, and passes on what the caller presses. It decides nothing:
 * whether anybody is rung or heard is the service's to say, and this page knows no number.
 */

import { openTelephone } from "./telephone.js";

/** @typedef {Awaited<ReturnType<typeof openTelephone>>} Telephone */

const NO_MICROPHONE = "Your computer gave us no microphone, so nobody was called. Allow it in your browser, then call again.";
const LINE_LOST = "The line to this page was lost, so the call ended.";

/** @param {string} id @returns {HTMLElement} */
function find(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no ${id}`);
  return found;
}

const page = find("call");
const byComputer = page.dataset.by === "computer";
const status = find("state");
const timer = find("timer");
const hold = find("hold");
const message = find("message");
const keys = find("keys");

/** @type {Telephone | null} */
let telephone = null;
let connectedAt = 0;
let isOver = false;
let wasPlaced = page.dataset.placed === "yes";

const address = new URL(`/calls/${page.dataset.call}/line`, location.href);
address.protocol = address.protocol.replace("http", "ws");
const line = new WebSocket(address);

/** @param {Record<string, unknown>} said */
const send = (said) => {
  if (line.readyState === WebSocket.OPEN) line.send(JSON.stringify(said));
};

line.addEventListener("open", () => void begin());
line.addEventListener("message", ({ data }) => hear(JSON.parse(String(data))));
line.addEventListener("close", () => end(LINE_LOST));

/** With a microphone the call is placed. By one's own phone it is on already, and this page only shows how far it is. */
async function begin() {
  if (!byComputer) return;
  say("Opening your microphone");
  try {
    telephone = await openTelephone();
  } catch {
    end(NO_MICROPHONE);
    return;
  }
  if (isOver) telephone.close();
  else send({ type: "offer", sdp: telephone.offer });
}

/** @param {{type: string, state?: string, words?: string, sdp?: string}} said */
function hear(said) {
  if (said.type === "answer") void telephone?.accept(said.sdp ?? "").catch(() => send({ type: "hang-up" }));
  if (said.type === "no-message") {
    message.hidden = true;
    telephone?.hold(isHeld());
    say(said.words ?? "");
  }
  if (said.type !== "state") return;
  wasPlaced ||= said.state !== "ended";
  if (said.state === "connected") connected();
  if (said.state === "ended") end(said.words ?? "Ended");
  else say(said.words ?? "");
}

/** @param {string} words */
function say(words) {
  if (!isOver && status.textContent !== words) status.textContent = words;
}

function connected() {
  if (connectedAt) return;
  connectedAt = Date.now();
  for (const part of [timer, hold, message, keys]) part.hidden = part === timer ? false : !byComputer && part !== message;
  draw();
  setInterval(draw, 1000);
}

/** How long: beside the status, so that a screen reader is not told every second. */
function draw() {
  if (isOver) return;
  const seconds = Math.floor((Date.now() - connectedAt) / 1000);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  timer.textContent = `, ${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

/** @param {string} words */
function end(words) {
  if (isOver) return;
  say(words);
  isOver = true;
  telephone?.close();
  for (const part of [hold, message, keys, find("end")]) part.hidden = true;
  const after = find(wasPlaced ? "record" : "again");
  after.hidden = false;
  after.querySelector("a")?.focus();
  line.close();
}

find("end").addEventListener("click", (event) => {
  if (line.readyState !== WebSocket.OPEN) return; // the form ends it
  event.preventDefault();
  send({ type: "hang-up" });
  if (byComputer && !connectedAt && !telephone) end("You ended the call before anybody answered");
});

const isHeld = () => hold.getAttribute("aria-pressed") === "true";

hold.addEventListener("click", () => {
  const held = !isHeld();
  hold.setAttribute("aria-pressed", String(held));
  hold.textContent = held ? "Go on" : "Hold";
  telephone?.hold(held);
  send({ type: "hold", held });
});

message.addEventListener("click", () => {
  telephone?.hold(true);
  send({ type: "leave-message" });
});

keys.addEventListener("click", (event) => {
  const digit = event.target instanceof HTMLElement ? event.target.dataset.digit : undefined;
  if (digit) send({ type: "press", digits: digit });
});
