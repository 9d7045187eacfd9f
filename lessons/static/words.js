// @ts-check
/**
 * What the page says, by role and reason. Pure: facts in, sentences out. The wording is that of the screens, chapter 3.
 */

/** @typedef {import("./messages.js").Person} Person */
/** @typedef {import("./messages.js").State} State */

/**
 * `oneToOne`: the lesson is for one pupil and one adult, and opens by their approval alone. `pupils`: how many are connected.
 * @typedef {{who: "teacher" | "pupil", starts: string, ends: string, office: string, oneToOne: boolean, adults: number,
 *   pupils: number}} Circumstances
 * @typedef {{teacher: string, pupil: string, nearby: string}} Words
 */

export const STATE_WORDS = { door: "Not in the room yet", lobby: "Waiting room", open: "Open", held: "Paused", ended: "Ended" };
export const STATE_SHAPES = { door: "ring", lobby: "ring", open: "circle", held: "bars", ended: "square" };

const BLAMELESS = "You have not done anything wrong.";

/** @type {Words} */
const ALONE = {
  teacher: "You would be alone with one pupil. It opens when another pupil or a second member of staff joins.",
  pupil: `We are waiting for one more person. ${BLAMELESS} You can wait or leave.`,
  nearby: "One adult and one child are never left alone online. The class is waiting for someone else to join.",
};

/** @type {Words} where more pupils are connected than count: who is not heard, or could be somebody else, protects nobody */
const ALONE_WITH_SOME = {
  ...ALONE,
  teacher: "Fewer than two of the pupils here count just now. One may have lost the connection, be in the same browser as " +
    "somebody else, or have a badge that you made. It opens when another pupil or a second member of staff joins.",
};

/** @type {Words} where another adult is connected and does not count either */
const ALONE_BESIDE = {
  ...ALONE,
  teacher: "Fewer than two of the grown-ups here count just now. One may have lost the connection, be in the same browser as " +
    "somebody else, or have signed in by a link that the other, or the same person, made in the last week. It opens when " +
    "another pupil or another member of staff joins.",
};

/** @type {Words} where an adult could go on alone with one pupil of a class, and may not any more */
const NOT_ALONE_ANY_MORE = {
  ...ALONE,
  teacher: "The approval to go on with one pupil does not hold now. It opens when another pupil or a second member of staff joins.",
};

/** @type {Record<string, Words>} */
const HELD = {
  "stopped-by-school": {
    teacher: "A school leader has stopped this lesson. Talk to them.",
    pupil: `This lesson has stopped. ${BLAMELESS}`,
    nearby: "The school stopped this lesson and will be in touch.",
  },
  "approval-ended": {
    teacher: "The approval for this one-to-one does not hold now. Talk to the leader who approved it.",
    pupil: `This lesson has stopped. ${BLAMELESS}`,
    nearby: "The approval for this one-to-one lesson does not hold now. Ring {office}.",
  },
  "not-recorded": {
    teacher: "Recording has stopped, so the lesson has too. The technician and DSL know. Keep this page open. " +
      "After 5 minutes, end it and send the work.",
    pupil: `We are fixing something. Wait here. ${BLAMELESS}`,
    nearby: "Lessons only run while they are recorded. The school is fixing it.",
  },
  "no-adult": {
    teacher: "The class paused while you were away. It opens in a moment.",
    pupil: "Your teacher is not here. Wait here.",
    nearby: "Children are never together online without a teacher. If the teacher is not back by {ends} the lesson ends.",
  },
  "not-permitted": {
    teacher: "A permission is missing. The office is dealing with it. Do not ask the pupil.",
    pupil: `You need to stop here for now. ${BLAMELESS}`,
    nearby: "The school needs to check a permission. Ring {office}.",
  },
  "outside-window": {
    teacher: "This lesson is outside its time. It runs {starts} to {ends}.",
    pupil: "It is not time for this lesson. It runs {starts} to {ends}.",
    nearby: "The lesson runs {starts} to {ends}.",
  },
  starting: {
    teacher: "Checking the room is safe. It opens by itself.",
    pupil: "Getting ready. Wait here.",
    nearby: "The school is checking the room.",
  },
};

/** What keeps the room of a class shut: an approval that ended for one pupil of it ends nothing for the others. @param {string[]} reasons */
const besideApproval = (reasons) => reasons.filter((reason) => reason !== "approval-ended");

/** Would it open if one more person came? @param {string[]} reasons */
export const waitsForCompany = (reasons) => besideApproval(reasons)[0] === "lone-adult";

/**
 * Why a room is paused, for the person and for a grown-up beside a pupil. The first reason is the one that is said.
 * @param {string[]} reasons
 * @param {Circumstances} facts
 */
export function heldWords(reasons, facts) {
  const ended = !facts.oneToOne && reasons[0] === "approval-ended";
  const said = ended ? besideApproval(reasons) : reasons;
  const some = facts.pupils > 1 ? ALONE_WITH_SOME : facts.adults > 1 ? ALONE_BESIDE : null;
  const alone = some ?? (ended ? NOT_ALONE_ANY_MORE : ALONE);
  return filled(said[0] === "lone-adult" ? alone : HELD[said[0] ?? "starting"] ?? HELD.starting, facts);
}

/** @type {Words} */
const NOT_BEGUN = {
  teacher: "It is not time yet. The lesson starts at {starts}.",
  pupil: "It is not time yet. The lesson starts at {starts}. Wait here.",
  nearby: "The lesson starts at {starts}.",
};
const SHUT = new Set(["stopped-by-school", "approval-ended", "not-permitted"]);

/**
 * What the waiting room says beside what it waits for; null when there is nothing more to say. `shut`: whoever comes, it stays shut.
 * @param {string[]} reasons
 * @param {Circumstances} facts
 */
export function lobbyWords(reasons, facts) {
  if (SHUT.has(reasons[0] ?? "")) return { reason: heldWords(reasons, facts).reason, shut: true };
  return reasons.includes("outside-window") ? { reason: filled(NOT_BEGUN, facts).reason, shut: false } : null;
}

/** @param {Words | undefined} words @param {Circumstances} facts */
function filled(words, facts) {
  if (!words) throw new Error("no words for a paused room");
  /** @param {string} text */
  const fill = (text) => text.replace("{starts}", facts.starts).replace("{ends}", facts.ends).replace("{office}", facts.office);
  return { reason: fill(words[facts.who]), nearby: fill(words.nearby) };
}

const AWAY = {
  teacher: "Everybody is in a breakout room.",
  pupil: `Everybody is in a breakout room. Wait here: your teacher will find you one. ${BLAMELESS}`,
  nearby: "The class is working in smaller rooms, each with an adult. The teacher can see that your child is here.",
};
const BECAUSE_AWAY = new Set(["no-adult", "lone-adult", "starting"]);

/**
 * What the main room says while breakout rooms are open, when that is all there is to say. The rule is asked all the same.
 * Whoever teaches is not told that everybody is away while a pupil is here with them.
 * @param {State} state
 * @param {"teacher" | "pupil"} who
 */
export function awayWords(state, who) {
  const away = state.breakouts && BECAUSE_AWAY.has(state.hold[0] ?? "starting") && (who === "pupil" || state.waiting.pupils === 0);
  return away ? { reason: AWAY[who], nearby: AWAY.nearby } : null;
}

/** @type {Record<string, string>} why another room is paused, in few words */
const ELSEWHERE = {
  "stopped-by-school": "stopped by the school", "approval-ended": "an approval ended", "not-recorded": "not recorded",
  "no-adult": "no adult", "lone-adult": "an adult alone with one pupil", "not-permitted": "a permission is missing",
  "outside-window": "outside its time", starting: "opening in a moment",
};

/** “Paused: no adult”; an empty room is not a pause that somebody has to see to. @param {import("./messages.js").RoomLine} line */
export function roomWords({ room, hold, adults, pupils, expected }) {
  if (adults + pupils === 0) return { state: "Nobody here", shape: STATE_SHAPES.lobby, look: "lobby", people: expected ? `0 of ${count(expected, "pupil")}` : "" };
  const state = hold.length ? `${STATE_WORDS[room]}: ${ELSEWHERE[hold[0] ?? ""] ?? "not safe yet"}` : STATE_WORDS[room];
  return { state, shape: STATE_SHAPES[room], look: room, people: `${count(adults, "adult")}, ${pupils === expected ? count(pupils, "pupil") : `${pupils} of ${count(expected, "pupil")}`}` };
}

/** @type {Record<string, {heading: string, pupil: string, staff: string, rejoin?: boolean}>} */
const ENDINGS = {
  "ended-by-staff": { heading: "The lesson has ended", pupil: "Well done.", staff: "You were the last to leave." },
  time: { heading: "The lesson has ended", pupil: "Well done.", staff: "Its time is over." },
  over: { heading: "The lesson has ended", pupil: "Well done.", staff: "It is over." },
  left: { heading: "You have left the lesson", pupil: "You can come back while it is on.", staff: "You can come back while it is on.", rejoin: true },
  removed: { heading: "You are out of this lesson", pupil: "School will talk to you about it.", staff: "Talk to the senior leader." },
  "stopped-by-school": {
    heading: "The lesson has stopped",
    pupil: `This lesson has stopped. ${BLAMELESS}`,
    staff: "A school leader has stopped this lesson. Talk to them.",
  },
  replaced: {
    heading: "You joined on another device",
    pupil: "You joined on another device, so this one has stopped.",
    staff: "You joined on another device, so this one has stopped.",
  },
  elsewhere: {
    heading: "You joined another lesson",
    pupil: "You joined another lesson, so this one has stopped.",
    staff: "You joined another lesson, so this one has stopped.",
  },
  "signed-out": { heading: "We signed you out", pupil: "Sign in again to come back.", staff: "Sign in again to come back.", rejoin: true },
  "self-test-fails": {
    heading: "No lesson can start now",
    pupil: `The safety test of the service does not pass. ${BLAMELESS} School will send you the work another way.`,
    staff: "The safety test of this service does not pass, so no lesson starts. Ask the technician to run it again. Lessons start when it passes.",
    rejoin: true,
  },
  "not-permitted": {
    heading: "You need to stop here for now",
    pupil: BLAMELESS + " School will send you the work another way.",
    staff: "You cannot be in this lesson now. Ask the office.",
  },
};

/** @param {string} reason @param {boolean} staff */
export function endedWords(reason, staff) {
  const ending = ENDINGS[reason] ?? ENDINGS["not-permitted"];
  if (!ending) throw new Error("no words for an ended lesson");
  return { heading: ending.heading, words: staff ? ending.staff : ending.pupil, rejoin: ending.rejoin ?? false };
}

/** @type {Record<string, string>} */
const CHAT_REFUSALS = {
  word: "Not sent. It has a word we do not use here. Change it and try again.",
  link: "Not sent. Only links from the lesson plan work.",
  paused: "Chat is off while the lesson is paused. Your words are still here, not sent.",
  off: "Your teacher turned chat off.",
  "not-permitted": "Chat is off for you. You can still listen.",
  "too-long": "Not sent. Use 300 letters or fewer.",
  "too-fast": "Not sent. Wait a moment, then try again.",
  empty: "Type something first.",
  lost: "Not sent. You lost the connection. Your words are still here.",
};

/** @param {string} reason */
export const chatRefusal = (reason) => CHAT_REFUSALS[reason] ?? "Not sent. Try again.";

/** @param {number} number @param {string} one @param {string} [many] */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

const SCHOOL_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "numeric", minute: "2-digit", hour12: true, timeZone: "Europe/London" });

/** “10:15am”, “11am”, by the school's clock wherever the device is. @param {string} moment RFC 3339 */
export const clock = (moment) => SCHOOL_CLOCK.format(new Date(moment)).replace(":00", "").replace(/\s/g, "").toLowerCase();

/** @type {Record<string, string>} */
const ROLES = { teacher: "teacher", staff: "member of staff", leader: "senior leader", guest: "guest", pupil: "pupil" };

/** @param {string} role */
export const roleWords = (role) => ROLES[role] ?? "member of staff";

/** @param {Person} person */
export const isAdult = (person) => person.role !== "pupil";

/** “Ali, camera on, microphone off, hand up”: what a tile is called. @param {Person} person */
export function tileName(person) {
  const facts = [
    person.name,
    `camera ${person.camera ? "on" : "off"}`,
    `microphone ${person.microphone ? "on" : "off"}`,
    person.hand ? "hand up" : "",
    person.connected ? "" : "connection problem",
  ];
  return facts.filter(Boolean).join(", ");
}

/** @param {State} state @returns {{people: string, leader: string}} */
export function whoIsHere(state) {
  const adults = state.people.filter(isAdult);
  const leaders = adults.filter((person) => person.role === "leader").map((person) => `${person.name}, senior leader`);
  return {
    people: `${count(adults.length, "adult")}, ${count(state.people.length - adults.length, "pupil")}`,
    leader: leaders.length ? `${leaders.join(" and ")}, ${leaders.length > 1 ? "are" : "is"} here` : "",
  };
}

/** What changed of one's own, said by staff's act. @param {import("./messages.js").Changed} changed */
export function changedWords({ what, by, source }) {
  const who = by ?? "A member of staff";
  /** @type {Record<string, string>} */
  const words = {
    microphone_muted: `${who} muted you. You can turn your microphone on again.`,
    camera_stopped: `Your camera is off. ${who} stopped it. You can still listen. Check your clothes, your room and who is behind you.`,
    camera_allowed: "You can turn your camera on again.",
    share_allowed: `${who} lets you share your screen. Staff see it first.`,
    share_stopped: `${who} stopped your screen.`,
    permission_ended: `Your ${source === "screen" ? "screen" : source ?? "camera"} is off now. You can still listen and type.`,
  };
  return words[what] ?? "";
}

/** @type {Record<string, string>} by the name of a DOMException */
const DEVICE_TROUBLE = {
  NotAllowedError: "Your {device} is blocked. You can join without it.",
  SecurityError: "Your {device} is blocked. You can join without it.",
  NotReadableError: "Another app is using your {device}. Close it, then try again.",
  AbortError: "Another app is using your {device}. Close it, then try again.",
  NotFoundError: "We cannot find a {device}. You can join without it.",
  OverconstrainedError: "We cannot find a {device}. You can join without it.",
};

/** @param {unknown} error @param {"camera" | "microphone"} device */
export function deviceTrouble(error, device) {
  const name = error instanceof Error ? error.name : "";
  return (DEVICE_TROUBLE[name] ?? "Your {device} did not start. You can join without it.").replace("{device}", device);
}

/** @param {"off" | "on" | "unable"} blurring */
export const blurWords = (blurring) =>
  ({ off: "", on: "Your background is blurred.", unable: "This device cannot blur. Sit by a plain wall, or keep your camera off." })[blurring];
