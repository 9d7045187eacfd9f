// @ts-check
/**
 * The browser's side of docs/room-protocol.md: the door, the socket and what is heard on it. No DOM here.
 *
 * It decides nothing. It asks the door for a ticket, says hello, keeps a heartbeat going from the page's own script,
 * publishes and subscribes, and turns every message of the server into a typed event. A dropped connection comes back
 * by itself, as a full admission again, without repeating the answers of the door.
 */

import { Downlink, Uplink } from "./peers.js";

/** @typedef {import("./messages.js").Answers} Answers */
/** @typedef {import("./messages.js").Events} Events */
/** @typedef {import("./messages.js").Move} Move */
/** @typedef {import("./messages.js").Problem} Problem */
/** @typedef {import("./messages.js").Source} Source */
/** @typedef {import("./messages.js").Welcome} Welcome */

const SUBPROTOCOL = "chaperone.room.v1";
const FIRST_WAIT = 300; // milliseconds; doubles up to LONGEST_WAIT
const LONGEST_WAIT = 5000;
const MEDIA_PATIENCE = 12_000; // how long ICE and DTLS may take before the whole admission is tried again
const GRACE = 3000; // a peer connection often recovers from "disconnected" by itself
const COUNT_EVERY = 5; // heartbeats
const MOST_TRIES = 5; // at a door that says when to come again
const FOR_GOOD = new Set(["removed", "over", "not-permitted", "not-on-roster", "replaced", "self-test-fails"]);
/** @type {Record<number, string>} */
const CLOSED_FOR_GOOD = { 4403: "not-admitted", 4409: "replaced", 4410: "over" };

/** The door said no. `problem.detail` is for the person, in plain words. */
export class DoorRefused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** The other room of the lesson that the door sent this person to, if it did. @param {unknown} error @returns {Move | null} */
function sentTo(error) {
  const place = error instanceof DoorRefused && error.problem.code === "moved" ? error.problem.place : undefined;
  return place ? { ...place, is_main: false } : null;
}

/**
 * Ask the door for a ticket (good once, for 60 seconds). A crowded door says when to come again: nothing was refused, and nobody
 * has to press again.
 * @param {string} address
 * @param {Answers} answers
 * @param {() => boolean} wanted whether this ticket is still what is wanted: an admission that was given up asks no more
 * @param {() => void} crowded the door says so for the first time
 * @returns {Promise<string>}
 */
async function askDoor(address, answers, wanted = () => true, crowded = () => {}) {
  for (let tries = 1; ; tries++) {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(answers),
      cache: "no-store",
    });
    const seconds = Number(response.headers.get("Retry-After"));
    if (seconds && tries < MOST_TRIES && wanted()) {
      if (tries === 1) crowded();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000 * (1 + Math.random() / 2))); // not all at once again
      if (wanted()) continue;
    }
    const body = await response.json().catch(() => ({}));
    if (!response.ok) {
      throw new DoorRefused({ status: response.status, code: body.code ?? "", title: body.title ?? "", detail: body.detail ?? "",
        place: body.errors });
    }
    return body.ticket;
  }
}

export class RoomConnection {
  /** @type {Map<string, Set<(event: any) => void>>} */
  #listeners = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Uplink | null} */
  #uplink = null;
  /** @type {Downlink | null} */
  #downlink = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heart;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #waiting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;
  #attempt = 0; // admissions tried since the last one that worked
  #round = 0; // which admission is current; whatever an older one still says is ignored
  #over = false;
  #bytesBefore = 0; // by connections that are gone
  #bytesNow = 0;
  #lostSince = 0;
  #addresses;
  #visible;
  /** @type {{microphone: MediaStreamTrack, camera: MediaStreamTrack | null, screen: MediaStreamTrack | null}} */
  #tracks;

  /**
   * @param {{door: string, socket: string}} addresses
   * @param {MediaStreamTrack} microphone a real microphone that is muted, or a silent track: it proves presence
   * @param {() => boolean} visible whether the page can be seen now
   */
  constructor(addresses, microphone, visible) {
    this.#addresses = addresses;
    this.#visible = visible;
    this.#tracks = { microphone, camera: null, screen: null };
  }

  /**
   * @template {keyof Events} K
   * @param {K} type
   * @param {(event: Events[K]) => void} handler
   */
  on(type, handler) {
    const known = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, known.add(handler));
  }

  /**
   * Come in. Resolves when the door gave a ticket; the room itself speaks through events.
   * @param {Answers} answers
   * @throws {DoorRefused}
   */
  async enter(answers) {
    this.#over = false;
    this.#tell("connection", { status: "connecting", since: 0 });
    for (;;) {
      try {
        return this.#open(await askDoor(this.#addresses.door, answers, () => !this.#over,
          () => this.#tell("connection", { status: "crowded", since: 0 })));
      } catch (error) {
        const place = sentTo(error);
        if (!place || !this.#turnTo(place)) throw error;
      }
    }
  }

  /** Go to another room of this lesson: its own door, without its questions, and its own connections. @param {Move} place */
  moveTo(place) {
    if (this.#over || !this.#turnTo(place)) return;
    clearTimeout(this.#waiting);
    this.#lostSince = 0;
    this.#attempt = 0;
    void this.#readmit();
  }

  /**
   * Say something to the server. Says whether it could be handed over; nothing is kept for later, because what was
   * meant for one moment of a lesson is not meant for another.
   * @param {{type: string} & Record<string, unknown>} message
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Change what is sent from here, without renegotiating. The microphone always has a track.
   * @param {Source} source
   * @param {MediaStreamTrack | null} track
   */
  setTrack(source, track) {
    if (source === "microphone") {
      if (track) this.#tracks.microphone = track;
    } else {
      this.#tracks[source] = track;
    }
    this.#uplink?.setTrack(source, this.#tracks[source]);
  }

  /** Who can be heard right now, by the level of the sound that arrives. @returns {Set<string>} */
  speaking() {
    return this.#downlink?.speaking() ?? new Set();
  }

  /** Bytes of media sent and received since this page came in, as last counted. */
  get bytesUsed() {
    return this.#bytesBefore + this.#bytesNow;
  }

  /** What was left open at the door is answered now, all of it anew. The ticket that comes back is not used. @param {Answers} answers */
  answerAgain(answers) {
    void askDoor(this.#addresses.door, answers).catch(() => {});
  }

  /** Go, for good. */
  leave() {
    this.send({ type: "leave" });
    this.#finish("left");
  }

  /** The person or the browser says that the network may be back or different. */
  tryNow() {
    if (this.#over) return;
    clearTimeout(this.#waiting);
    this.#again(0);
  }

  /** @param {Move} place @returns {boolean} whether it is another room */
  #turnTo(place) {
    if (this.#addresses.door === `/lessons/${place.lesson}/door`) return false;
    const { door, socket } = this.#addresses;
    const before = door.replace(/\/door$/, "");
    this.#addresses = { door: `/lessons/${place.lesson}/door`, socket: socket.replace(`${before}/socket`, `/lessons/${place.lesson}/socket`) };
    this.#tell("streams", []);
    this.#tell("move", place);
    return true;
  }

  // ---- one admission ------------------------------------------------------------------------------------------

  /** @param {string} ticket */
  #open(ticket) {
    const round = ++this.#round;
    this.#hangUp();
    const socket = new WebSocket(this.#addresses.socket, SUBPROTOCOL);
    this.#socket = socket;
    socket.onopen = () => this.send({ type: "hello", ticket });
    socket.onmessage = (event) => round === this.#round && this.#heard(event.data);
    socket.onclose = (event) => round === this.#round && this.#closed(event.code);
  }

  /** @param {string} text */
  #heard(text) {
    const { type, ...message } = JSON.parse(text);
    switch (type) {
      case "welcome": return this.#welcomed(message);
      case "published": return void this.#uplink?.accept(message.sdp).catch(() => this.#lost());
      case "subscribe": return void this.#subscribe(message);
      case "layers": return this.#uplink?.setLargeLayer(message.h);
      case "move": return this.moveTo(message);
      case "ended": return this.#finish(message.reason);
      default: return this.#tell(type, message);
    }
  }

  /** @param {Welcome} welcome */
  #welcomed(welcome) {
    this.#attempt = 0;
    this.#lostSince = 0;
    let n = 0;
    const beat = () => {
      this.send({ type: "heartbeat", n: n++, visible: this.#visible() });
      if (n % COUNT_EVERY === 0) void this.#countBytes();
    };
    beat();
    this.#heart = setInterval(beat, 1000 * (welcome.heartbeat_every || 1));
    this.#tell("connection", { status: "connected", since: 0 });
    this.#tell("welcome", welcome);
    void this.#publish();
  }

  async #publish() {
    const round = this.#round;
    const uplink = new Uplink(this.#tracks, (state) => round === this.#round && this.#mediaChanged(state));
    this.#uplink = uplink;
    this.#patience = setTimeout(() => this.#lost(), MEDIA_PATIENCE);
    const sdp = await uplink.offer().catch(() => null); // hung up meanwhile: the next admission offers anew
    if (sdp !== null && round === this.#round) this.send({ type: "publish", sdp });
  }

  /** @param {{version: number, sdp: string, streams: {mid: string, person: string, source: Source}[]}} offer */
  async #subscribe({ version, sdp, streams }) {
    const round = this.#round;
    this.#downlink ??= new Downlink((state) => round === this.#round && this.#mediaChanged(state, false));
    try {
      const answered = await this.#downlink.answer(sdp, streams);
      if (round !== this.#round) return;
      this.send({ type: "subscribed", version, sdp: answered.sdp });
      this.#tell("streams", answered.streams);
    } catch {
      if (round === this.#round) this.#lost();
    }
  }

  /**
   * @param {RTCPeerConnectionState} state
   * @param {boolean} [up]
   */
  #mediaChanged(state, up = true) {
    if (state === "connected" && up) clearTimeout(this.#patience);
    if (state === "failed") this.#lost();
    if (state === "disconnected") {
      const round = this.#round;
      setTimeout(() => round === this.#round && this.#broken() && this.#lost(), GRACE);
    }
  }

  #broken() {
    return [this.#uplink, this.#downlink].some((peer) => peer && ["disconnected", "failed"].includes(peer.state));
  }

  /** @param {number} code */
  #closed(code) {
    const reason = CLOSED_FOR_GOOD[code];
    if (reason) this.#finish(reason);
    else this.#lost();
  }

  // ---- losing it and coming back --------------------------------------------------------------------------------

  #lost() {
    if (this.#over) return;
    this.#lostSince ||= Date.now();
    this.#round += 1;
    this.#hangUp();
    this.#tell("streams", []);
    this.#tell("connection", { status: "lost", since: this.#lostSince });
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#attempt) * (0.75 + Math.random() / 2);
    this.#again(wait);
  }

  /** @param {number} wait milliseconds */
  #again(wait) {
    this.#attempt += 1;
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => void this.#readmit(), wait);
  }

  async #readmit() {
    const round = ++this.#round;
    this.#hangUp();
    try {
      const ticket = await askDoor(this.#addresses.door, {}, () => round === this.#round && !this.#over);
      if (round === this.#round && !this.#over) this.#open(ticket);
    } catch (error) {
      if (round !== this.#round || this.#over) return;
      const place = sentTo(error);
      if (place) this.moveTo(place);
      else if (!(error instanceof DoorRefused)) this.#lost();
      else if (error.problem.status === 401) this.#finish("signed-out");
      else if (FOR_GOOD.has(error.problem.code)) this.#finish(error.problem.code, error.problem);
      else this.#lost();
    }
  }

  async #countBytes() {
    const round = this.#round;
    const [up, down] = await Promise.all([this.#uplink?.bytes() ?? 0, this.#downlink?.bytes() ?? 0]);
    if (round === this.#round) this.#bytesNow = up + down;
  }

  #hangUp() {
    this.#bytesBefore += this.#bytesNow;
    this.#bytesNow = 0;
    clearInterval(this.#heart);
    clearTimeout(this.#patience);
    this.#uplink?.close();
    this.#downlink?.close();
    this.#uplink = this.#downlink = null;
    this.#socket?.close();
    this.#socket = null;
  }

  /**
   * @param {string} reason
   * @param {Problem} [problem]
   */
  #finish(reason, problem) {
    if (this.#over) return;
    this.#over = true;
    this.#round += 1;
    clearTimeout(this.#waiting);
    this.#hangUp();
    this.#tell("streams", []);
    this.#tell("over", problem ? { reason, problem } : { reason });
  }

  /**
   * @template {keyof Events} K
   * @param {K} type
   * @param {Events[K]} event
   */
  #tell(type, event) {
    for (const handler of this.#listeners.get(type) ?? []) handler(event);
  }
}
