// @ts-check
/**
 * What this person sends, in step with the room: only an open room is told that anything is on, and what staff or the
 * server switched off is never switched on again from here. Nobody but the person can switch anything on.
 */

import { all, ask, dialogOf, show } from "./dom.js";
import { notice, removeNotice } from "./notices.js";
import { blurWords, changedWords, deviceTrouble } from "./words.js";

/** @typedef {import("./messages.js").Answers} Answers */
/** @typedef {import("./messages.js").Changed} Changed */
/** @typedef {import("./messages.js").Person} Person */
/** @typedef {import("./messages.js").Source} Source */
/** @typedef {import("./own_media.js").OwnMedia} OwnMedia */
/** @typedef {(message: {type: string} & Record<string, unknown>) => boolean} Send */

/** @type {Source[]} */
const SOURCES = ["microphone", "camera", "screen"];
const PROMISES = /** @type {const} */ (["clothing", "place", "people_near"]);
/** @type {Record<string, Source>} */
const SWITCHED_OFF = { microphone_muted: "microphone", camera_stopped: "camera", share_stopped: "screen" };

export class Sending {
  /** @type {Record<Source, boolean>} what the server was last told */
  #told = { microphone: false, camera: false, screen: false };
  /** @type {Set<Source>} sources that the server was told are off */
  #hushed = new Set();
  /** @type {Answers} */
  #answers = {};
  #media;
  #send;
  #staff;
  #may;
  #room;
  #drawn;
  #answerAgain;

  /**
   * @param {object} given
   * @param {OwnMedia} given.media
   * @param {Send} given.send
   * @param {boolean} given.staff
   * @param {Set<string>} given.may
   * @param {() => {open: boolean, mine: Person | null}} given.room
   * @param {() => void} given.drawn something changed that the page shows
   * @param {(answers: Answers) => void} given.answerAgain
   */
  constructor({ media, send, staff, may, room, drawn, answerAgain }) {
    this.#media = media;
    this.#send = send;
    this.#staff = staff;
    this.#may = may;
    this.#room = room;
    this.#drawn = drawn;
    this.#answerAgain = answerAgain;
  }

  /** A new admission: the server knows of nothing that is on. */
  begin() {
    this.#told = { microphone: false, camera: false, screen: false };
    this.#hushed.clear();
  }

  /** @param {Answers} answers of the door */
  came(answers) {
    this.#answers = answers;
  }

  /** Tell the server what is on, when that differs from what it was told. */
  tell() {
    const { open, mine } = this.#room();
    for (const source of SOURCES) {
      const on = open && this.#media.want[source];
      if (on === this.#told[source] && (on || !open || !mine?.[source] || this.#hushed.has(source))) continue;
      if (on) this.#hushed.delete(source);
      else if (open) this.#hushed.add(source); // said once; the room's state follows
      this.#told[source] = on;
      if (open) this.#send({ type: source === "screen" ? "share" : source, on });
    }
  }

  /** Everything off: after a pause a pupil comes back seen and heard by nobody. */
  allOff() {
    this.#media.want.microphone = this.#media.want.camera = false;
    this.#media.closeCamera();
    if (this.#media.want.screen) this.#media.closeScreen();
  }

  /** Staff come with camera and microphone on. What is blocked, or not answered, stays off and holds nobody up. */
  async openForStaff() {
    const media = this.#media;
    if (this.#may.has("microphone")) {
      if (!media.hasMicrophone) await media.openMicrophone().catch(() => {});
      media.setWanted("microphone", media.hasMicrophone);
    }
    if (this.#may.has("camera") && this.#answers.media !== "sound-only") {
      if (!media.picture) await media.openCamera().catch(() => {});
      media.setWanted("camera", media.picture !== null);
    }
    this.#changed();
  }

  async toggleMicrophone() {
    const on = !this.#media.want.microphone;
    try {
      if (on && !this.#media.hasMicrophone) await this.#media.openMicrophone();
    } catch (error) {
      return notice(deviceTrouble(error, "microphone"));
    }
    this.#media.setWanted("microphone", on);
    return this.#changed();
  }

  async toggleCamera() {
    if (this.#media.want.camera) return this.#cameraOff();
    if (this.#room().mine?.camera_stopped) return notice("Your camera stays off until your teacher allows it.");
    if (!this.#staff && !(await this.#promise())) return undefined;
    try {
      if (!this.#media.picture) await this.#media.openCamera();
    } catch (error) {
      return notice(deviceTrouble(error, "camera"));
    }
    this.#media.setWanted("camera", true);
    if (this.#media.blurring === "unable" && !this.#staff) notice(blurWords("unable"));
    return this.#changed();
  }

  /** Only where the school's profile leaves it to the person. */
  async toggleBlur() {
    this.#media.blur = !this.#media.blur;
    if (this.#media.picture) await this.#media.openCamera().catch((error) => notice(deviceTrouble(error, "camera")));
    this.#changed();
  }

  async toggleScreen() {
    if (this.#media.want.screen) this.#media.closeScreen();
    else await this.#openScreen();
    this.#changed();
  }

  async #openScreen() {
    try {
      await this.#media.openScreen();
      notice("You are sharing your screen.", [["Stop sharing", () => this.toggleScreen()]], "sharing");
    } catch (error) {
      const refused = error instanceof Error && error.name === "NotAllowedError"; // they chose nothing to share
      if (!refused) notice("Your screen could not be shared. Try again.");
    }
  }

  /** A device or the browser ended it. @param {Source} source */
  stopped(source) {
    if (source !== "screen") notice(`Your ${source} has stopped. Check that it is plugged in, then turn it on again.`);
    this.#changed();
  }

  /** Staff changed something of this person's. @param {Changed} change */
  changed(change) {
    this.#off(change.what === "permission_ended" ? change.source ?? "" : SWITCHED_OFF[change.what] ?? "");
    if (change.what === "camera_stopped" && this.#media.want.screen) this.#media.closeScreen();
    this.#changed();
    const words = changedWords(change);
    if (words) notice(words);
  }

  /** The server did not accept it. @param {{type_refused: string, detail: string}} what */
  refused({ type_refused: type, detail }) {
    const source = type === "share" ? "screen" : type;
    this.#off(source);
    if (source === "microphone" || source === "camera" || source === "screen") this.#told[source] = false;
    this.#changed();
    if (detail) notice(detail);
  }

  /** @param {{by?: string | null}} who */
  asked({ by }) {
    const speak = () => void (this.#media.want.microphone || this.toggleMicrophone());
    notice(`${by ?? "Your teacher"} asks you to speak.`, [["Turn on microphone", speak], ["Not now", () => {}]], "asked");
  }

  /** @param {string} source */
  #off(source) {
    if (source === "microphone") this.#media.setWanted("microphone", false);
    if (source === "camera") {
      this.#media.setWanted("camera", false);
      this.#media.closeCamera();
    }
    if (source === "screen" && this.#media.want.screen) this.#media.closeScreen();
  }

  #cameraOff() {
    this.#off("camera");
    this.#changed();
  }

  /** Camera and screen off, for what they cost. */
  noPictures() {
    this.#off("screen");
    this.#cameraOff();
  }

  #changed() {
    this.tell();
    this.#drawn();
    if (!this.#media.want.screen) removeNotice("sharing");
  }

  /** What was not answered at the door is asked again before a pupil's camera first goes on; it never blocks. */
  async #promise() {
    const open = PROMISES.filter((name) => this.#answers[name] !== "yes");
    const dialog = dialogOf("promises");
    if (!dialog || open.length === 0) return true;
    for (const item of all("[data-promise]", dialog)) show(item, open.some((name) => name === item.dataset.promise));
    if (!(await ask(dialog))) return false;
    const form = dialog.querySelector("form");
    const given = form ? new FormData(form) : new FormData();
    for (const name of open) if (given.get(name) === "yes") this.#answers = { ...this.#answers, [name]: "yes" };
    this.#answerAgain(this.#answers);
    return true;
  }
}
