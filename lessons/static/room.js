// @ts-check
/**
 * The lesson's page: shows what the room says of itself and passes on what the person presses. It decides nothing; no
 * WebRTC here (that is protocol.js), and no picture or sound stays on the page unless the room is open.
 */

import { Allowance } from "./allowance.js";
import { Alone } from "./alone.js";
import { Breakouts } from "./breakouts.js";
import { Chat } from "./chat.js";
import { drawControls } from "./controls.js";
import { Door, offerListening } from "./door.js";
import { all, find, mark, maybe, say, show, write } from "./dom.js";
import { Flag } from "./flag.js";
import { Keyboard } from "./keyboard.js";
import { drawEnded, mayEnd, mayLeave, stopReason } from "./leaving.js";
import { notice, removeNotice } from "./notices.js";
import { OwnMedia } from "./own_media.js";
import { Panel } from "./panel.js";
import { People, openBeside } from "./people.js";
import { DoorRefused, RoomConnection } from "./protocol.js";
import { Sending } from "./sending.js";
import { Stage } from "./stage.js";
import { StateBar } from "./state_bar.js";
import { drawHeld, drawLobby } from "./waiting.js";
import { Worried } from "./worried.js";
import { count } from "./words.js";

/** @typedef {import("./messages.js").Answers} Answers */
/** @typedef {import("./messages.js").State} State */
/** @typedef {import("./messages.js").Person} Person */
/** @typedef {import("./messages.js").Welcome} Welcome */
/** @typedef {import("./messages.js").Move} Move */
/** @typedef {"door" | "lobby" | "open" | "held" | "ended"} View */

const SPEAKING_EVERY = 400; // milliseconds
const JOINS_EVERY = 10_000;
const LONG_LOST = 30_000; // after this the page says what else might help
const ABSENT = 10_000; // a pupil away for longer comes back with camera and microphone off
const CALL_HOME_AFTER = 5 * 60_000;

const main = find("main.x-room");
const role = main.dataset.role ?? "pupil";
const staff = role !== "pupil";
const may = new Set((main.dataset.may ?? "").split(" "));

let me = "";
/** @type {State | null} */
let state = null;
/** @type {View} */
let view = "door";
let soundOnly = false;
let sayJoins = false;
let newcomers = 0;
let lostSince = 0;
let oneToOne = false;
let saidWhy = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let longLost;

const bar = new StateBar(main.dataset.title ?? "Lesson");
const media = new OwnMedia((source, track) => room?.setTrack(source, track), (source) => sending.stopped(source));
media.blur = main.dataset.blur === "always" || main.dataset.blur === "choice";
/** @type {RoomConnection | null} */
let room = null;

/** @param {{type: string} & Record<string, unknown>} message */
const send = (message) => room?.send(message) ?? false;

const sending = new Sending({
  media, send, staff, may, answerAgain: (answers) => room?.answerAgain(answers), drawn: () => { draw(); stage.draw(); flag?.shared(); },
  room: () => ({ open: state?.room === "open", mine: mine() }),
});
const allowance = new Allowance(main.dataset.leftMb, allowanceUsed);
const panel = new Panel(panelChanged);
const stage = new Stage({ staff, mayModerate: may.has("moderate"), panelOpen: () => panel.isOpen(), ownPicture: () => media.picture });
const people = new People({ send, staff, mayModerate: may.has("moderate") });
const flag = staff ? new Flag({ send, notice: (words) => notice(words), sharing: () => media.want.screen,
  lesson: () => main.dataset.lesson ?? "" }) : null;
const chat = new Chat({ send, flag: (words, saved) => flag?.raiseMessage(words, saved) ?? false, isOpen: () => panel.isOpen("chat"), mayChat: may.has("chat"), staff });
const worried = staff ? null : new Worried({
  address: main.dataset.worriedUrl ?? "/worried", lesson: main.dataset.lesson ?? "", closed: () => maybe('[data-do="worried"]')?.focus(),
});
const alone = document.getElementById("alone") ? new Alone(() => main.dataset.lesson ?? "") : null;
const breakouts = maybe("[data-rooms]") ? new Breakouts({
  main: main.dataset.main ?? "", here: () => main.dataset.lesson ?? "", go: (place) => room?.moveTo(place),
}) : null;
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
setInterval(() => allowance.count(room?.bytesUsed ?? 0), SPEAKING_EVERY);
setInterval(tellJoins, JOINS_EVERY);
offerListening();
setView("door");

// ---- going in -------------------------------------------------------------------------------------------------------

/** @param {Answers} given */
async function enter(given) {
  const answers = { ...given, device: deviceKey() };
  sending.came(answers);
  setSoundOnly(given.media === "sound-only" || allowance.isUsed);
  door?.setBusy(true, "Going in");
  door?.close();
  if (!staff) media.closeCamera();
  media.wake();
  room = connect();
  try {
    await room.enter(answers);
  } catch (error) {
    room = null;
    media.closeCamera();
    return refusedAtDoor(error);
  }
  return staff ? sending.openForStaff() : undefined;
}

function connect() {
  const connection = new RoomConnection(
    { door: main.dataset.doorUrl ?? "", socket: socketAddress() }, media.presence(), () => document.visibilityState === "visible");
  connection.on("welcome", welcomed);
  connection.on("state", stateChanged);
  connection.on("streams", (streams) => stage.setStreams(streams));
  connection.on("connection", connectionChanged);
  connection.on("chat", (message) => chat.delivered(message));
  connection.on("chat_held", (held) => chat.held(held));
  connection.on("chat_refused", (refused) => chat.refused(refused));
  connection.on("asked", (who) => sending.asked(who));
  connection.on("changed", (change) => sending.changed(change));
  connection.on("flagged", (flagged) => flag?.raised(flagged.flag));
  connection.on("refused", refused);
  connection.on("time_left", timeLeft);
  connection.on("rooms", (rooms) => breakouts?.setRooms(rooms));
  connection.on("move", moved);
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

/** @param {{type_refused: string, detail: string}} what */
function refused(what) {
  if (what.type_refused === "flag") flag?.refused();
  sending.refused(what);
}

/** @param {Welcome} welcome */
function welcomed(welcome) {
  me = welcome.you.person;
  may.clear();
  for (const what of welcome.you.may) may.add(what);
  oneToOne = welcome.lesson.one_to_one ?? false;
  inRoom(welcome.lesson.id, welcome.lesson.title);
  bar.setClock(welcome.now);
  sending.begin();
  flag?.again();
  if (soundOnly) send({ type: "sound_only", on: true });
}

/** On the way to another room of this lesson: nothing of the one before stays on the page. @param {Move} place */
function moved(place) {
  state = null;
  alone?.offer(null);
  if (!staff) sending.allOff();
  media.setOpen(false);
  stage.clear();
  chat.clear();
  panel.close();
  inRoom(place.lesson, place.name);
  mark(main, "data-hold", "");
  if (view !== "door") setView("lobby");
  notice(place.is_main ? "Everybody is coming back together." : `You are going to ${place.name}.`, [["Close", () => {}]], "moved");
}

/** @param {string} lesson @param {string} title */
function inRoom(lesson, title) {
  if (main.dataset.lesson !== lesson) history.replaceState(null, "", `/lessons/${lesson}`); // loaded anew, the page is this room's
  mark(main, "data-lesson", lesson);
  mark(main, "data-title", title);
  bar.setTitle(title);
  write(find("#open-heading"), title);
  worried?.setLesson(lesson);
}

// ---- what the room says -----------------------------------------------------------------------------------------------

/** @param {State} next */
function stateChanged(next) {
  const before = state;
  state = next;
  mark(main, "data-hold", next.hold.join(" "));
  if (!staff && before?.room === "open" && next.room !== "open") sending.allOff();
  media.setOpen(next.room === "open");
  setView(next.room);
  bar.setState(next);
  stage.setState(next, me);
  people.setState(next, me);
  chat.setState(next);
  const why = next.room === "lobby" ? drawLobby(next, shutFacts()) : next.room === "held" ? drawHeld(next, shutFacts()) : "";
  if (next.room !== "lobby" && next.room !== "held") alone?.offer(null);
  if (next.room === "open") removeNotice("moved");
  else ["asked", "again"].forEach(removeNotice);
  if (before?.room !== next.room) announce(before, next, why);
  else if (next.room === "open") noteChanges(before, next);
  else if (next.room === "lobby" && why && why !== saidWhy) say("alert", why);
  saidWhy = why;
  sending.tell();
  draw();
}

/** @returns {import("./waiting.js").Facts} */
function shutFacts() {
  const kind = oneToOne ? "one-to-one" : main.dataset.lesson === main.dataset.main ? "lesson" : "breakout";
  return { staff, starts: main.dataset.starts ?? "", office: main.dataset.office ?? "the office", kind, name: main.dataset.title ?? "", alone };
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
  if (next === "lobby") setTimeout(() => show(maybe("[data-call-home]"), true), CALL_HOME_AFTER);
  draw();
  const gone = document.activeElement === document.body || document.activeElement?.closest("[hidden]");
  if (had && gone) maybe(`#${next}-heading`)?.focus({ preventScroll: true });
}

/** @param {State | null} before @param {State} next @param {string} why it is shut */
function announce(before, next, why) {
  const again = next.room === "open" && before?.room === "held";
  const words = { lobby: "Waiting room", open: again ? "Open again" : "Open", held: "Paused", ended: "Ended" }[next.room];
  say("alert", why ? `${words}. ${why}` : words);
  if (again && !staff) notice("Open again. Your camera and microphone are off.", undefined, "again");
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
    if (person.sharing !== "staff") removeNotice(`screen-${person.person}`);
  }
}

/** @param {Person} person */
function offerShow({ person, name }) {
  if (!may.has("moderate")) return;
  notice(`Only staff can see ${name}'s screen.`, [["Show to class", () => send({ type: "show_share", person })], ["Stop sharing", () => send({ type: "stop_share", person })]],
    `screen-${person}`);
}

function tellJoins() {
  if (sayJoins && newcomers && view === "open") say("status", newcomers === 1 ? "1 person joined" : `${newcomers} people joined`);
  newcomers = 0;
}

/** @param {boolean} on */
function setSoundOnly(on) {
  soundOnly = on;
  bar.setSoundOnly(on);
  for (const button of all('[data-do="sound-only"]')) mark(button, "aria-pressed", String(on));
}

/** @param {string} words */
function allowanceUsed(words) {
  setSoundOnly(true);
  send({ type: "sound_only", on: true });
  sending.noPictures();
  notice(words);
}

/** @param {{minutes: number}} left */
function timeLeft({ minutes }) {
  const words = minutes > 0 ? `${count(minutes, "minute")} left` : "The lesson's time is over";
  if (may.has("moderate")) notice(words, minutes > 0 ? [["Add 5 minutes", () => send({ type: "extend", minutes: 5 })], ["Close", () => {}]] : undefined, "time");
  else say("status", words);
  show(maybe('[data-do="extend"]'), minutes > 0);
}

// ---- losing the connection, and the end ---------------------------------------------------------------------------------

/** @param {{status: "connecting" | "crowded" | "connected" | "lost", since: number}} connection */
function connectionChanged({ status, since }) {
  clearTimeout(longLost);
  if (status === "connected") return lostSince ? connectedAgain() : undefined;
  if (status === "crowded") door?.setBusy(true, "Many people are coming in at once. Wait here: we keep trying, and you do not need to press again.");
  if (status !== "lost") return undefined;
  lostSince ||= since;
  chat.lost();
  bar.setConnection("Connection lost");
  lostNotice(Date.now() - since > LONG_LOST);
  longLost = setTimeout(() => lostNotice(true), Math.max(0, since + LONG_LOST - Date.now()));
  return undefined;
}

function connectedAgain() {
  if (!staff && Date.now() - lostSince > ABSENT) sending.allOff();
  lostSince = 0;
  bar.setConnection("");
  removeNotice("connection");
  say("status", "Connected again");
}

/** @param {boolean} long */
function lostNotice(long) {
  notice(`You lost the connection. Trying again.${long ? " Move nearer the Wi-Fi, or use sound only." : ""}`,
    long ? [["Try now", () => room?.tryNow()], ["Sound only", () => press("sound-only")]] : [], "connection");
}

/** @param {string} reason @param {string} [detail] */
function over(reason, detail = "") {
  const heading = drawEnded(reason, { staff, detail, megabytes: Math.round((room?.bytesUsed ?? 0) / 1e6) });
  media.close();
  stage.clear();
  mark(main, "data-hold", "");
  setView("ended");
  flag?.over();
  say("alert", heading);
  find("[data-ended-heading]").focus();
}

// ---- controls -------------------------------------------------------------------------------------------------------------

/** @type {Record<string, (control?: HTMLElement) => unknown>} */
const PRESSES = {
  microphone: () => sending.toggleMicrophone(),
  camera: () => (allowance.isUsed ? notice(allowance.words) : sending.toggleCamera()),
  share: () => (allowance.isUsed ? notice(allowance.words) : sending.toggleScreen()),
  blur: () => sending.toggleBlur(),
  hand: () => send({ type: "hand", up: mine()?.hand === null }),
  chat: () => panel.toggle("chat"),
  people: () => panel.toggle("people"),
  plan: () => panel.toggle("plan"),
  more: (control) => control && openBeside(find("#more-menu"), control),
  flag: () => flag?.raise(),
  worried: () => (worried?.isOpen ? worried.close() : worried?.open()),
  leave: async () => (await mayLeave(state, me)) && room?.leave(),
  end: async () => (await mayEnd(state, main.dataset.title ?? "", main.dataset.lesson !== main.dataset.main)) && send({ type: "end" }),
  stop: async () => {
    const reason = await stopReason();
    if (reason !== null) send({ type: "stop", reason });
  },
  extend: () => send({ type: "extend", minutes: 5 }),
  "mute-all": () => send({ type: "mute", person: null }),
  "chat-switch": () => send({ type: "set_chat", on: !state?.chat }),
  "sound-only": () => { setSoundOnly(!soundOnly || allowance.isUsed); send({ type: "sound_only", on: soundOnly }); },
  "speak-joins": (control) => { sayJoins = !sayJoins; if (control) mark(control, "aria-pressed", String(sayJoins)); },
  keys: (control) => { keyboard.on = !keyboard.on; if (control) mark(control, "aria-pressed", String(keyboard.on)); },
  breakouts: () => breakouts?.open(),
  "bring-back": () => breakouts?.bringBack(),
  rejoin: () => location.reload(),
};

/** @param {string} name @param {HTMLElement} [control] */
function press(name, control) {
  const act = PRESSES[name];
  if (!act || (maybe(`.x-control[data-do="${name}"]`)?.getAttribute("aria-disabled") === "true")) return;
  if (control?.closest("#more-menu") && !control.hasAttribute("aria-pressed")) find("#more-menu").hidePopover();
  void act(control);
}

function draw() {
  const mayShare = staff ? may.has("screen") : Boolean(mine()?.may_share);
  drawControls({ view, mine: mine(), want: media.want, blur: media.blur, mayShare, isOpen: (tab) => panel.isOpen(tab) });
}

function mine() {
  return state?.people.find((person) => person.person === me) ?? null;
}

function panelChanged() {
  document.body.classList.toggle("x-panel-open", panel.isOpen());
  if (panel.isOpen("chat")) chat.opened();
  stage.draw();
  draw();
}
