// @ts-check
/**
 * Before you go in: what this device can do, how one looks and sounds, and the answers of the door (policy: RL2, RL3,
 * RL11, CO6). Nothing here blocks but a browser that cannot join: an empty box is kept as “not answered”.
 */

import { all, find, maybe, say, show, write } from "./dom.js";
import { blurWords, deviceTrouble } from "./words.js";

/** @typedef {import("./messages.js").Answers} Answers */
/** @typedef {import("./own_media.js").OwnMedia} OwnMedia */

const SLOW = 600; // milliseconds for one small answer of the school's server: above it pictures will struggle

export class Door {
  #form = find("[data-door]");
  #media;
  #may;
  #office;
  #speakerChosen;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #metering;
  #closed = false;
  #busy = false;

  /**
   * @param {{media: OwnMedia, may: Set<string>, office: string, enter: (answers: Answers) => void,
   *   speakerChosen: (id: string) => void}} given
   */
  constructor({ media, may, office, enter, speakerChosen }) {
    this.#media = media;
    this.#may = may;
    this.#office = office;
    this.#speakerChosen = speakerChosen;
    show(this.#form, true);
    const trying = maybe("[data-try]");
    if (trying) trying.onclick = () => void this.tryDevices();
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#busy) enter(this.answers());
    });
    for (const select of all("select", this.#form)) select.onchange = () => void this.#choose(select);
    if (this.#browserAble()) void this.#checkNetwork();
    void this.#ifAllowedBefore();
  }

  /** @returns {Answers} */
  answers() {
    if (!(this.#form instanceof HTMLFormElement)) return {};
    const given = new FormData(this.#form);
    /** @param {string} name @returns {"yes" | "not answered"} */
    const promise = (name) => (given.get(name) === "yes" ? "yes" : "not answered");
    const beside = given.get("beside");
    return {
      clothing: promise("clothing"), place: promise("place"), people_near: promise("people_near"),
      beside: beside === "nobody" || beside === "grown-up" || beside === "sibling" ? beside : "not answered",
      media: given.get("media") === "sound-only" ? "sound-only" : "all",
    };
  }

  /** @param {boolean} busy @param {string} [words] */
  setBusy(busy, words = "") {
    const go = find(".x-go", this.#form);
    this.#busy = busy;
    go.setAttribute("aria-disabled", String(busy));
    write(find("[data-door-words]"), words);
  }

  /** The door is behind this person. A camera that only now answers is not left on. */
  close() {
    this.#closed = true;
    clearInterval(this.#metering);
    find("[data-picture]", this.#form).querySelector("video")?.remove();
  }

  /** The door said no, or the browser cannot. @param {string} title @param {string} words */
  refuse(title, words) {
    this.#closed = false;
    write(find("[data-problem-title]"), title);
    write(find("[data-problem-words]"), words);
    show(find("[data-problem]"), true);
    find("[data-problem]").focus();
  }

  /** Ask for the camera and the microphone, and show what they give. */
  async tryDevices() {
    const words = find("[data-device-words]");
    write(words, "");
    /** @type {string[]} */
    const troubles = [];
    if (this.#may.has("microphone")) await this.#media.openMicrophone().catch((error) => troubles.push(deviceTrouble(error, "microphone")));
    if (this.#may.has("camera")) await this.#media.openCamera().catch((error) => troubles.push(deviceTrouble(error, "camera")));
    if (this.#closed) return this.#media.want.camera ? undefined : this.#media.closeCamera();
    write(words, [...troubles, this.#media.picture ? blurWords(this.#media.blurring) : ""].filter(Boolean).join(" "));
    this.#showPreview();
    this.#showLevel();
    return this.#offerDevices();
  }

  async #ifAllowedBefore() {
    if (!navigator.permissions || !(this.#may.has("camera") || this.#may.has("microphone"))) return;
    /** @param {string} name */
    const granted = async (name) => {
      const asked = await navigator.permissions.query({ name: /** @type {PermissionName} */ (name) }).catch(() => null);
      return asked?.state === "granted";
    };
    const kinds = [...this.#may].filter((kind) => kind === "camera" || kind === "microphone");
    if ((await Promise.all(kinds.map(granted))).every(Boolean)) await this.tryDevices();
  }

  #browserAble() {
    const able = "RTCPeerConnection" in window && "WebSocket" in window && Boolean(navigator.mediaDevices) &&
      RTCRtpSender.getCapabilities("video")?.codecs.some((codec) => codec.mimeType.toLowerCase() === "video/vp8");
    write(find('[data-check="browser"]'), able ? "Can join lessons" : "Cannot join lessons");
    if (!able) {
      this.refuse("This browser cannot join", `This browser cannot join lessons. Update it, or use another one. Or ring ${this.#office} for the work.`);
      show(this.#form, false);
    }
    return Boolean(able);
  }

  async #checkNetwork() {
    const answer = find('[data-check="network"]');
    const began = performance.now();
    const reached = await fetch(new URL("favicon-waiting.svg", import.meta.url), { cache: "no-store" }).then((response) => response.ok).catch(() => false);
    const took = Math.round(performance.now() - began);
    write(answer, !reached ? "No connection. Check the Wi-Fi" : took > SLOW ? "Slow. Sound only may work better" : "Good");
  }

  #showPreview() {
    const picture = find("[data-picture]", this.#form);
    picture.querySelector("video")?.remove();
    const track = this.#media.picture;
    if (!track) return;
    const video = document.createElement("video");
    Object.assign(video, { autoplay: true, muted: true, playsInline: true, srcObject: new MediaStream([track]) });
    video.setAttribute("aria-label", "Your camera");
    picture.append(video);
  }

  #showLevel() {
    const level = maybe("[data-level]");
    if (!level || !this.#media.hasMicrophone) return;
    show(level, true);
    const meter = level.querySelector("meter");
    let heard = false;
    clearInterval(this.#metering);
    this.#metering = setInterval(() => {
      const loud = this.#media.level();
      if (meter) meter.value = loud;
      if (heard || loud < 0.08) return;
      heard = true;
      write(find("[data-level-words]", level), "We can hear you.");
    }, 100);
  }

  async #offerDevices() {
    const { cameras, microphones, speakers } = await this.#media.devices();
    this.#offer("camera", this.#may.has("camera") ? cameras : []);
    this.#offer("microphone", this.#may.has("microphone") ? microphones : []);
    this.#offer("speaker", "setSinkId" in HTMLMediaElement.prototype ? speakers : []);
    show(maybe("[data-try]")?.parentElement ?? null, false);
  }

  /** @param {string} kind @param {MediaDeviceInfo[]} devices */
  #offer(kind, devices) {
    const group = find(`[data-choose="${kind}"]`);
    const select = group.querySelector("select");
    show(group, devices.length > 1);
    if (!select || select.options.length === devices.length) return;
    select.replaceChildren(...devices.map((device) => new Option(device.label, device.deviceId)));
  }

  /** @param {HTMLElement} select */
  async #choose(select) {
    if (!(select instanceof HTMLSelectElement)) return;
    if (select.name === "speaker") return this.#speakerChosen(select.value);
    if (select.name !== "camera" && select.name !== "microphone") return;
    this.#media.chosen[select.name] = select.value;
    await this.tryDevices();
    say("status", `${select.selectedOptions[0]?.label ?? ""} chosen`);
  }
}

/** “Listen”: read a sentence aloud with a voice of this device. Without one the button stays away. */
export function offerListening() {
  const speech = window.speechSynthesis;
  if (!speech) return;
  const offer = () => {
    const voice = speech.getVoices().find((known) => known.localService && known.lang.startsWith(document.documentElement.lang.slice(0, 2) || "en"));
    for (const button of all("[data-listen]")) {
      show(button, Boolean(voice));
      button.onclick = () => {
        speech.cancel();
        const words = new SpeechSynthesisUtterance(button.dataset.listen ?? "");
        words.voice = voice ?? null;
        speech.speak(words);
      };
    }
  };
  offer();
  speech.addEventListener?.("voiceschanged", offer);
}
