// @ts-check
/**
 * The lesson's page: shows what the room says of itself and passes on what the person presses. It decides nothing; no
 * WebRTC here (that is protocol.js), and no picture or sound stays on the page unless the room is open.
 */

import { Chat } from "./chat.js";
import { Door, offerListening } from "./door.js";
import { all, ask, dialogOf, drawing, find, mark, maybe, piece, say, show, write } from "./dom.js";
import { Flag } from "./flag.js";
import { Keyboard } from "./keyboard.js";
import { OwnMedia } from "./own_media.js";
import { Panel } from "./panel.js";
import { People, openBeside } from "./people.js";
import { DoorRefused, RoomConnection } from "./protocol.js";
import { Stage } from "./stage.js";
import { StateBar } from "./state_bar.js";
import { Worried } from "./worried.js";
import { blurWords, changedWords, clock, count, deviceTrouble, endedWords, heldWords, isAdult } from "./words.js";

/** @typedef {import("./protocol.js").Answers} Answers */
/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Person} Person */
/** @typedef {import("./protocol.js").Welcome} Welcome */
/** @typedef {"microphone" | "camera" | "screen"} Source */
/** @typedef {"door" | "lobby" | "open" | "held" | "ended"} View */

const SPEAKING_EVERY = 400; // milliseconds
const JOINS_EVERY = 10_000;
const LONG_LOST = 30_000; // after this the page says what else might help
const ABSENT = 10_000; // a pupil away for longer comes back with camera and microphone off
const CALL_HOME_AFTER = 5 * 60_000;

const main = find("main.x-room");
const role = main.dataset.role ?? "pupil";
const staff = role !== "pupil";
let may = new Set((main.dataset.may ?? "").split(" "));

let me = "";
/** @type {State | null} */
let state = null;
/** @type {View} */
let view = "door";
/** @type {Answers} */
let answers = {};
/** @type {Record<Source, boolean>} what the server was last told */
let told = { microphone: false, camera: false, screen: false };
let soundOnly = false;
let sayJoins = false;
let newcomers = 0;
let lostSince = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let longLost;

const bar = new StateBar(main.dataset.title ?? "Lesson");
const media = new OwnMedia((source, track) => room?.setTrack(source, track), ownStopped);
media.blur = main.dataset.blur === "always" || main.dataset.blur === "choice";
/** @type {RoomConnection | null} */
let room = null;

/** @param {{type: string} & Record<string, unknown>} message */
const send = (message) => room?.send(message) ?? false;

const panel = new Panel(panelChanged);
const stage = new Stage({ staff, mayModerate: may.has("moderate"), panelOpen: () => panel.isOpen(), ownPicture: () => media.picture });
const people = new People({ send, staff, mayModerate: may.has("moderate") });
const flag = staff ? new Flag({ send, notice: (words) => notice(words), sharing: () => media.want.screen }) : null;
const chat = new Chat({ send, flag: (words) => flag?.raiseMessage(words), isOpen: () => panel.isOpen("chat"), mayChat: may.has("chat"), staff });
const worried = staff ? null : new Worried({
  address: main.dataset.worriedUrl ?? "/worried", lesson: main.dataset.lesson ?? "", closed: () => maybe('[data-do="worried"]')?.focus(),
});
const keyboard = new Keyboard((control) => press(control));
const door = maybe("[data-door]") ? new Door({
  media, may, office: main.dataset.office ?? "the office", enter: (given) => void enter(given), speakerChosen: (id) => stage.setSpeaker(id),
}) : null;

document.addEventListener("click", (event) => {
  const control = event.target instanceof Element ? event.target.closest("[data-do]") : null;
  if (control instanceof HTMLElement && control.getAttribute("aria-disabled") !== "true") press(control.dataset.do ?? "", control);
});
addEventListener("online", () => room?.tryNow());
setInterval(() => view === "open" && stage.showSpeaking(room?.speaking() ?? new Set()), SPEAKING_EVERY);
setInterval(tellJoins, JOINS_EVERY);
offerListening();
setView("door");

// ---- going in -------------------------------------------------------------------------------------------------------

/** @param {Answers} given */
async function enter(given) {
  answers = { ...given, device: deviceKey() };
  setSoundOnly(given.media === "sound-only");
  door?.setBusy(true, "Going in");
  door?.close();
  if (!staff) media.closeCamera();
  await media.wake();
  room = connect();
  try {
    await room.enter(answers);
    if (staff) await openForStaff();
  } catch (error) {
    room = null;
    media.closeCamera();
    refusedAtDoor(error);
  }
}

/** Staff come with camera and microphone on. What is blocked, or not answered, stays off and holds nobody up. */
async function openForStaff() {
  if (may.has("microphone")) {
    if (!media.hasMicrophone) await media.openMicrophone().catch(() => {});
    media.setWanted("microphone", media.hasMicrophone);
  }
  if (may.has("camera") && answers.media !== "sound-only") {
    if (!media.picture) await media.openCamera().catch(() => {});
    media.setWanted("camera", media.picture !== null);
  }
  ownChanged();
}

function connect() {
  const connection = new RoomConnection(
    { door: main.dataset.doorUrl ?? "", socket: socketAddress() }, media.presence(), () => document.visibilityState === "visible");
  connection.on("welcome", welcomed);
  connection.on("state", stateChanged);
  connection.on("streams", (streams) => stage.setStreams(streams));
  connection.on("connection", connectionChanged);
  connection.on("chat", (message) => chat.delivered({ ...message }));
  connection.on("chat_held", (held) => chat.held(held));
  connection.on("chat_refused", (refused) => chat.refused(refused));
  connection.on("asked", asked);
  connection.on("changed", changed);
  connection.on("flagged", (flagged) => flag?.raised(flagged.flag));
  connection.on("refused", refused);
  connection.on("time_left", timeLeft);
  connection.on("over", ({ reason, problem }) => over(reason, problem?.detail));
  return connection;
}

function socketAddress() {
  const address = new URL(main.dataset.socketUrl ?? "", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

/** A random name for this browser, so that two “people” on one device can be told from two devices. */
function deviceKey() {
  try {
    const known = localStorage.getItem("chaperone-device") ?? crypto.randomUUID();
    localStorage.setItem("chaperone-device", known);
    return known;
  } catch {
    return crypto.randomUUID();
  }
}

/** @param {unknown} error */
function refusedAtDoor(error) {
  if (error instanceof DoorRefused && error.problem.detail) {
    door?.setBusy(false);
    door?.refuse("You cannot come in now", error.problem.detail);
  } else {
    door?.setBusy(false, "We could not reach school. Check the Wi-Fi, then try again.");
  }
}

/** @param {Welcome} welcome */
function welcomed(welcome) {
  me = welcome.you.person;
  may = new Set(welcome.you.may);
  bar.setClock(welcome.now);
  told = { microphone: false, camera: false, screen: false };
  if (!staff && lostSince && Date.now() - lostSince > ABSENT) ownOff();
  if (soundOnly) send({ type: "sound_only", on: true });
}

// ---- what the room says -----------------------------------------------------------------------------------------------

/** @param {State} next */
function stateChanged(next) {
  const before = state;
  state = next;
  mark(main, "data-hold", next.hold.join(" "));
  if (!staff && before?.room === "open" && next.room !== "open") ownOff();
  media.setOpen(next.room === "open");
  setView(next.room);
  bar.setState(next);
  stage.setState(next, me);
  people.setState(next, me);
  chat.setState(next);
  if (next.room === "lobby") drawLobby(next);
  if (next.room === "held") drawHeld(next);
  if (next.room !== "open") removeNotice("asked");
  if (before?.room !== next.room) announce(before, next);
  else if (next.room === "open") noteChanges(before, next);
  tellServer();
  drawControls();
}

/** @param {View} next */
function setView(next) {
  if (view === next && main.dataset.room === next && main.dataset.drawn) return;
  const had = document.activeElement instanceof HTMLElement && document.activeElement !== document.body;
  view = next;
  main.dataset.drawn = "yes";
  mark(main, "data-room", next);
  document.body.classList.toggle("x-in-room", next === "lobby" || next === "open" || next === "held");
  for (const part of all("[data-view]", main)) if (!part.classList.contains("x-state-bar")) show(part, part.dataset.view === next);
  bar.setView(next);
  if (next !== "open" && next !== "held") panel.close();
  drawControls();
  const gone = document.activeElement === document.body || document.activeElement?.closest("[hidden]");
  if (had && gone) maybe(`#${next}-heading`)?.focus({ preventScroll: true });
}

/** @param {State} next */
function drawLobby({ waiting, people: here }) {
  if (staff) {
    write(find("[data-lobby-needed]"), count(waiting.needed, "pupil"));
    tick("pupils", waiting.pupils >= waiting.needed, `Pupils: ${waiting.pupils} of ${waiting.needed} needed`);
    tick("recording", waiting.recording, waiting.recording ? "Recording: ready" : "Recording: getting ready");
    tick("time", true);
    return;
  }
  const teacher = here.some((person) => person.role === "teacher");
  write(find("[data-lobby-teacher]"), teacher ? "Your teacher is here." : "Your teacher is not here yet.");
  const alone = waiting.adults > 0 && waiting.pupils === waiting.needed - 1;
  const total = waiting.adults + waiting.pupils;
  write(find("[data-lobby-count]"), `${alone ? "We are waiting for one more person. " : ""}${total === 1 ? "1 person is here." : `${total} people are here.`}`);
}

/** @param {string} name @param {boolean} done @param {string} [words] */
function tick(name, done, words) {
  const item = find(`[data-tick="${name}"]`);
  drawing(item, done ? "tick" : "waiting");
  item.classList.toggle("x-ticks__done", done);
  if (words) write(find("span", item), words);
}

/** @param {State} next */
function drawHeld(next) {
  const words = heldWords(next.hold, {
    who: staff ? "teacher" : "pupil", starts: main.dataset.starts ?? "", ends: clock(next.ends_at), office: main.dataset.office ?? "the office", closes: "",
  });
  write(find("[data-held-reason]"), words.reason);
  if (staff) show(maybe("[data-held-help]"), next.hold[0] === "lone-adult");
  else write(find("[data-held-grown-up]"), words.nearby);
}

/** @param {State | null} before @param {State} next */
function announce(before, next) {
  const again = next.room === "open" && before?.room === "held";
  const words = { lobby: "Waiting room", open: again ? "Open again" : "Open", held: "Paused", ended: "Ended" }[next.room];
  say("alert", next.room === "held" ? `${words}. ${find("[data-held-reason]").textContent}` : words);
  if (again && !staff) notice("Open again. Your camera and microphone are off.");
}

/** @param {State | null} before @param {State} next */
function noteChanges(before, next) {
  if (!before) return;
  const known = new Map(before.people.map((person) => [person.person, person]));
  newcomers += next.people.filter((person) => !known.has(person.person)).length;
  if (!staff) return;
  for (const person of next.people) {
    if (person.hand !== null && (known.get(person.person)?.hand ?? null) === null && person.person !== me) say("status", `${person.name} has a hand up`);
    if (person.sharing === "staff" && known.get(person.person)?.sharing !== "staff") offerShow(person);
  }
}

/** @param {Person} person */
function offerShow({ person, name }) {
  if (!may.has("moderate")) return;
  notice(`Only staff can see ${name}'s screen.`, [["Show to class", () => send({ type: "show_share", person })], ["Stop sharing", () => send({ type: "stop_share", person })]]);
}

function tellJoins() {
  if (sayJoins && newcomers && view === "open") say("status", newcomers === 1 ? "1 person joined" : `${newcomers} people joined`);
  newcomers = 0;
}

// ---- one's own devices --------------------------------------------------------------------------------------------------

/** Tell the server what is on, when that differs from what it was told; only an open room is told anything. */
function tellServer() {
  const open = state?.room === "open";
  const mine = ownPerson();
  for (const source of /** @type {Source[]} */ (["microphone", "camera", "screen"])) {
    const on = open && media.want[source];
    const heardOtherwise = open && !on && Boolean(mine?.[source]);
    if (on === told[source] && !heardOtherwise) continue;
    told[source] = on;
    if (open) send({ type: source === "screen" ? "share" : source, on });
  }
}

function ownPerson() {
  return state?.people.find((person) => person.person === me) ?? null;
}

function ownOff() {
  media.want.microphone = false;
  media.want.camera = false;
  media.closeCamera();
  if (media.want.screen) media.closeScreen();
}

/** @param {Source} source */
function ownStopped(source) {
  if (source !== "screen") notice(`Your ${source} has stopped. Check that it is plugged in, then turn it on again.`);
  tellServer();
  drawControls();
  stage.draw();
}

async function toggleMicrophone() {
  const on = !media.want.microphone;
  if (on && !media.hasMicrophone) {
    try {
      await media.openMicrophone();
    } catch (error) {
      return notice(deviceTrouble(error, "microphone"));
    }
  }
  media.setWanted("microphone", on);
  ownChanged();
}

async function toggleCamera() {
  if (media.want.camera) {
    media.setWanted("camera", false);
    media.closeCamera();
    return ownChanged();
  }
  if (ownPerson()?.camera_stopped) return notice("Your camera stays off until your teacher allows it.");
  if (!staff && !(await promisesKept())) return undefined;
  try {
    if (!media.picture) await media.openCamera();
  } catch (error) {
    return notice(deviceTrouble(error, "camera"));
  }
  media.setWanted("camera", true);
  if (media.blurring === "unable" && !staff) notice(blurWords("unable"), [], "blur");
  return ownChanged();
}

/** Only where the school's profile leaves it to the person. */
async function toggleBlur() {
  media.blur = !media.blur;
  if (media.picture) await media.openCamera().catch((error) => notice(deviceTrouble(error, "camera")));
  ownChanged();
}

/** What was not answered at the door is asked again before a pupil's camera first goes on; it never blocks. */
async function promisesKept() {
  const open = /** @type {const} */ (["clothing", "place", "people_near"]).filter((name) => answers[name] !== "yes");
  const dialog = dialogOf("promises");
  if (!dialog || open.length === 0) return true;
  for (const item of all("[data-promise]", dialog)) show(item, open.some((name) => name === item.dataset.promise));
  if (!(await ask(dialog))) return false;
  const form = dialog.querySelector("form");
  const given = form ? new FormData(form) : new FormData();
  for (const name of open) answers = { ...answers, [name]: given.get(name) === "yes" ? "yes" : answers[name] };
  room?.answerAgain(answers);
  return true;
}

async function toggleShare() {
  if (media.want.screen) media.closeScreen();
  else await media.openScreen().catch((error) => error.name !== "NotAllowedError" && notice("Your screen could not be shared. Try again."));
  ownChanged();
}

function ownChanged() {
  tellServer();
  drawControls();
  stage.draw();
}

/** @param {boolean} on */
function setSoundOnly(on) {
  soundOnly = on;
  bar.setSoundOnly(on);
  for (const button of all('[data-do="sound-only"]')) mark(button, "aria-pressed", String(on));
}

// ---- what staff or the server did to this person ------------------------------------------------------------------------

/** @param {{by?: string | null}} who */
function asked({ by }) {
  notice(`${by ?? "Your teacher"} asks you to speak.`, [["Turn on microphone", () => void (media.want.microphone || toggleMicrophone())], ["Not now", () => {}]], "asked");
}

/** @param {import("./protocol.js").Changed} change */
function changed(change) {
  const off = change.what === "permission_ended" ? change.source : { microphone_muted: "microphone", camera_stopped: "camera", share_stopped: "screen" }[change.what];
  if (off === "microphone") media.setWanted("microphone", false);
  if (off === "camera") { media.setWanted("camera", false); media.closeCamera(); }
  if (off === "screen" || change.what === "camera_stopped") media.closeScreen();
  ownChanged();
  const words = changedWords(change);
  if (words) notice(words);
}

/** @param {{type_refused: string, code: string, detail: string}} what */
function refused({ type_refused: type, detail }) {
  if (type === "microphone" || type === "camera") media.setWanted(type, false);
  if (type === "camera") media.closeCamera();
  if (type === "share") media.closeScreen();
  if (["microphone", "camera", "share"].includes(type)) told = { ...told, [type === "share" ? "screen" : type]: false };
  ownChanged();
  if (detail) notice(detail);
}

/** @param {{minutes: number}} left */
function timeLeft({ minutes }) {
  const words = minutes > 0 ? `${count(minutes, "minute")} left` : "The lesson's time is over";
  if (may.has("moderate")) notice(words, minutes > 0 ? [["Add 5 minutes", () => send({ type: "extend", minutes: 5 })]] : []);
  else say("status", words);
  show(maybe('[data-do="extend"]'), minutes > 0);
}

// ---- losing the connection, and the end ---------------------------------------------------------------------------------

/** @param {{status: "connecting" | "connected" | "lost", since: number}} connection */
function connectionChanged({ status, since }) {
  if (status === "connecting") return;
  clearTimeout(longLost);
  if (status === "connected") {
    if (lostSince) { bar.setConnection(""); say("status", "Connected again"); removeNotice("connection"); }
    setTimeout(() => { lostSince = 0; });
    return;
  }
  lostSince ||= since;
  chat.lost();
  bar.setConnection("Connection lost");
  lostNotice(Date.now() - since > LONG_LOST);
  longLost = setTimeout(() => lostNotice(true), Math.max(0, since + LONG_LOST - Date.now()));
}

/** @param {boolean} long */
function lostNotice(long) {
  notice(`You lost the connection. Trying again.${long ? " Move nearer the Wi-Fi, or use sound only." : ""}`,
    long ? [["Try now", () => room?.tryNow()], ["Sound only", () => press("sound-only")]] : [], "connection");
}

/** @param {string} reason @param {string} [detail] */
function over(reason, detail) {
  const megabytes = Math.round((room?.bytesUsed ?? 0) / 1e6);
  const words = endedWords(reason, staff);
  media.close();
  stage.clear();
  write(find("[data-ended-heading]"), words.heading);
  write(find("[data-ended-words]"), detail || words.words);
  write(find("[data-ended-usage]"), megabytes > 0 ? `You used ${megabytes} MB.` : "");
  show(maybe('[data-do="rejoin"]'), words.rejoin);
  show(maybe("[data-ended-attendance]"), !words.rejoin);
  for (const dialog of all("dialog")) if (dialog instanceof HTMLDialogElement) dialog.close("no");
  mark(main, "data-hold", "");
  setView("ended");
  say("alert", words.heading);
  find("[data-ended-heading]").focus();
}

async function leave() {
  const adults = state?.people.filter((person) => isAdult(person) && person.role !== "guest") ?? [];
  const last = staff && state?.room === "open" && adults.length === 1 && adults[0]?.person === me;
  const dialog = dialogOf("last-adult");
  if (last && dialog && !(await ask(dialog))) return;
  room?.leave();
}

async function endForEveryone() {
  const dialog = dialogOf("end");
  if (!dialog) return;
  const pupils = state?.room === "lobby" ? state.waiting.pupils : state?.people.filter((person) => !isAdult(person)).length ?? 0;
  write(find("[data-end-heading]", dialog), `End ${main.dataset.title} for ${count(pupils, "pupil")}?`);
  if (await ask(dialog)) send({ type: "end" });
}

// ---- controls -------------------------------------------------------------------------------------------------------------

/** @type {Record<string, (control?: HTMLElement) => unknown>} */
const PRESSES = {
  microphone: toggleMicrophone,
  camera: toggleCamera,
  share: toggleShare,
  hand: () => send({ type: "hand", up: ownPerson()?.hand === null }),
  chat: () => panel.toggle("chat"),
  people: () => panel.toggle("people"),
  plan: () => panel.toggle("plan"),
  more: (control) => control && openBeside(find("#more-menu"), control),
  flag: () => flag?.raise(),
  worried: () => (worried?.isOpen ? worried.close() : worried?.open()),
  leave,
  end: endForEveryone,
  extend: () => send({ type: "extend", minutes: 5 }),
  "mute-all": () => send({ type: "mute", person: null }),
  "chat-switch": () => send({ type: "set_chat", on: !state?.chat }),
  "sound-only": () => { setSoundOnly(!soundOnly); send({ type: "sound_only", on: soundOnly }); },
  "speak-joins": (control) => { sayJoins = !sayJoins; if (control) mark(control, "aria-pressed", String(sayJoins)); },
  keys: (control) => { keyboard.on = !keyboard.on; if (control) mark(control, "aria-pressed", String(keyboard.on)); },
  "second-adult": () => show(maybe("[data-second-adult]"), true),
  blur: toggleBlur,
  rejoin: () => location.reload(),
};

/** @param {string} name @param {HTMLElement} [control] */
function press(name, control) {
  const act = PRESSES[name];
  if (!act || (maybe(`.x-control[data-do="${name}"]`)?.getAttribute("aria-disabled") === "true")) return;
  if (control?.closest("#more-menu") && !control.hasAttribute("aria-pressed")) find("#more-menu").hidePopover();
  void act(control);
}

function drawControls() {
  const mine = ownPerson();
  for (const control of all(".x-control")) show(control, (control.dataset.in ?? "").split(" ").includes(view));
  toggle("microphone", media.want.microphone);
  toggle("camera", media.want.camera, Boolean(mine?.camera_stopped));
  toggle("share", media.want.screen);
  toggle("hand", (mine?.hand ?? null) !== null);
  toggle("chat", panel.isOpen("chat"));
  toggle("people", panel.isOpen("people"));
  for (const name of ["microphone", "camera"]) {
    const control = maybe(`.x-control[data-do="${name}"]`);
    if (control) drawing(control, name === "microphone" ? (media.want.microphone ? name : `${name}-off`) : (media.want.camera ? name : `${name}-off`));
  }
  for (const control of all('[data-do="blur"]')) mark(control, "aria-pressed", String(media.blur));
  const mayShare = staff ? may.has("screen") : Boolean(mine?.may_share);
  for (const control of all('[data-do="share"]')) show(control, view === "open" && mayShare && Boolean(navigator.mediaDevices?.getDisplayMedia));
}

/** @param {string} name @param {boolean} pressed @param {boolean} [disabled] */
function toggle(name, pressed, disabled = false) {
  const control = maybe(`.x-control[data-do="${name}"]`);
  if (!control) return;
  mark(control, "aria-pressed", String(pressed));
  if (disabled) mark(control, "aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
}

function panelChanged() {
  document.body.classList.toggle("x-panel-open", panel.isOpen());
  if (panel.isOpen("chat")) chat.opened();
  stage.draw();
  drawControls();
}

// ---- notices ----------------------------------------------------------------------------------------------------------------

/**
 * A line above the stage that stays until it is closed, answered or replaced; it never covers a picture.
 * @param {string} words
 * @param {[string, () => unknown][]} [buttons]
 * @param {string} [name] a notice of the same name is replaced
 */
function notice(words, buttons = [], name = words) {
  removeNotice(name);
  const strip = piece("notice");
  strip.dataset.name = name;
  for (const [label, act] of [...buttons, ...(buttons.length ? [] : [/** @type {[string, () => unknown]} */ (["Close", () => {}])])]) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "x-small", textContent: label });
    button.onclick = () => { strip.remove(); act(); };
    find("[data-buttons]", strip).append(button);
  }
  find("[data-notices]").append(strip);
  write(find("[data-words]", strip), words);
}

/** @param {string} name */
function removeNotice(name) {
  for (const strip of all("[data-notices] > *")) if (strip.dataset.name === name) strip.remove();
}
