// @ts-check
/**
 * What this person may send: their microphone, camera and screen, and whether each is meant to be on. No words and no
 * layout here.
 *
 * Three layers keep a child's camera off: it is not opened, it is not handed to the connection while the room is not
 * open, and the server drops what still arrives. The microphone's track never stops in a lesson, because its empty
 * packets prove presence: muted is `enabled = false`, and who has none sends silence that this page makes.
 */

import { blurred, canBlur } from "./blur.js";

/** @typedef {"microphone" | "camera" | "screen"} Source */

const PICTURE = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 15, max: 20 } };

export class OwnMedia {
  /** What the person wants, whatever the room allows just now. */
  want = { microphone: false, camera: false, screen: false };
  /** Whether the background is to be blurred, and what came of it when the camera was last opened. */
  blur = false;
  /** @type {"off" | "on" | "unable"} */
  blurring = "off";
  /** @type {Record<"camera" | "microphone", string>} the chosen device; "" is the browser's choice */
  chosen = { camera: "", microphone: "" };
  /** @type {MediaStreamTrack | null} */
  #microphone = null;
  /** @type {MediaStreamTrack | null} */
  #raw = null;
  /** @type {{track: MediaStreamTrack, stop: () => void} | null} */
  #picture = null;
  /** @type {MediaStreamTrack | null} */
  #screen = null;
  /** @type {AudioContext | null} */
  #sound = null;
  /** @type {MediaStreamTrack | null} */
  #silence = null;
  /** @type {{analyser: AnalyserNode, track: MediaStreamTrack} | null} */
  #meter = null;
  #open = false;
  #changed;
  #stopped;

  /**
   * @param {(source: Source, track: MediaStreamTrack | null) => void} changed what the connection should send now
   * @param {(source: Source) => void} stopped a device or the browser ended it
   */
  constructor(changed, stopped) {
    this.#changed = changed;
    this.#stopped = stopped;
  }

  /** The track that proves presence: the microphone when there is one, else silence. @returns {MediaStreamTrack} */
  presence() {
    return this.#microphone ?? this.#silent();
  }

  /** The camera as others would see it. */
  get picture() {
    return this.#picture?.track ?? null;
  }

  get hasMicrophone() {
    return this.#microphone !== null;
  }

  get screenTrack() {
    return this.#screen;
  }

  /** @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>} */
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    /** @param {MediaDeviceKind} kind */
    const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId && device.label);
    return { cameras: of("videoinput"), microphones: of("audioinput"), speakers: of("audiooutput") };
  }

  async openMicrophone() {
    const { microphone } = this.chosen;
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...(microphone ? { deviceId: { exact: microphone } } : {}) };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const track = first(stream);
    this.#microphone?.stop();
    this.#microphone = track;
    this.#listenTo(track);
    track.onended = () => this.#lostMicrophone();
    this.#flow();
  }

  async openCamera() {
    const { camera } = this.chosen;
    const stream = await navigator.mediaDevices.getUserMedia({ video: { ...PICTURE, ...(camera ? { deviceId: { exact: camera } } : {}) } });
    this.closeCamera();
    const raw = (this.#raw = first(stream));
    raw.onended = () => this.#lostCamera();
    const picture = await this.#prepared(raw);
    if (this.#raw !== raw) return picture.stop(); // it was closed while the blur got ready
    this.#picture = picture;
    return this.#flow();
  }

  closeCamera() {
    this.#picture?.stop();
    this.#raw?.stop();
    this.#picture = this.#raw = null;
    this.#flow();
  }

  async openScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 10 } }, audio: false });
    this.#screen = first(stream);
    this.#screen.contentHint = "detail";
    this.#screen.onended = () => this.closeScreen();
    this.want.screen = true;
    this.#flow();
  }

  closeScreen() {
    const had = this.#screen;
    had?.stop();
    this.#screen = null;
    this.want.screen = false;
    this.#flow();
    if (had) this.#stopped("screen");
  }

  /** The room is open, or not: only an open room gets a voice or a picture. @param {boolean} open */
  setOpen(open) {
    this.#open = open;
    this.#flow();
  }

  /** @param {"microphone" | "camera"} source @param {boolean} on */
  setWanted(source, on) {
    this.want[source] = on;
    this.#flow();
  }

  /** Loudness of the own microphone, 0 to 1, whether or not it is muted for others. */
  level() {
    if (!this.#meter) return 0;
    const samples = new Float32Array(this.#meter.analyser.fftSize);
    this.#meter.analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    return Math.min(1, Math.sqrt(power) * 4);
  }

  /** A press of a button lets the browser play and make sound. Nobody waits for it: without a sound device it never answers. */
  wake() {
    this.#sound ??= new AudioContext();
    if (this.#sound.state !== "running") void this.#sound.resume().catch(() => {});
  }

  /** Everything off and given back, for good. */
  close() {
    this.want = { microphone: false, camera: false, screen: false };
    for (const track of [this.#microphone, this.#raw, this.#screen, this.#silence, this.#meter?.track]) {
      if (track) track.onended = null;
      track?.stop();
    }
    this.#picture?.stop();
    this.#microphone = this.#raw = this.#screen = this.#silence = this.#picture = this.#meter = null;
    void this.#sound?.close().catch(() => {});
    this.#sound = null;
  }

  #flow() {
    const { want } = this;
    if (this.#microphone) this.#microphone.enabled = this.#open && want.microphone;
    this.#changed("microphone", this.presence());
    this.#changed("camera", this.#open && want.camera ? this.picture : null);
    this.#changed("screen", this.#open && want.screen ? this.#screen : null);
  }

  #lostMicrophone() {
    this.#microphone = null;
    this.#meter = null;
    this.want.microphone = false;
    this.#flow();
    this.#stopped("microphone");
  }

  #lostCamera() {
    this.want.camera = false;
    this.closeCamera();
    this.#stopped("camera");
  }

  #silent() {
    if (this.#silence?.readyState === "live") return this.#silence;
    this.#sound ??= new AudioContext();
    const out = this.#sound.createMediaStreamDestination();
    const still = this.#sound.createConstantSource();
    const quiet = this.#sound.createGain();
    quiet.gain.value = 0;
    still.connect(quiet).connect(out);
    still.start();
    this.#silence = first(out.stream);
    return this.#silence;
  }

  /** The meter hears a copy, so that muting for others does not stop it. @param {MediaStreamTrack} microphone */
  #listenTo(microphone) {
    this.#sound ??= new AudioContext();
    this.#meter?.track.stop();
    const track = microphone.clone();
    const analyser = this.#sound.createAnalyser();
    analyser.fftSize = 1024;
    this.#sound.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    this.#meter = { analyser, track };
  }

  /** @param {MediaStreamTrack} raw */
  async #prepared(raw) {
    const picture = this.blur && canBlur() ? await blurred(raw).catch(() => null) : null;
    this.blurring = picture ? "on" : this.blur ? "unable" : "off";
    return picture ?? { track: raw, stop: () => {} };
  }
}

/** @param {MediaStream} stream @returns {MediaStreamTrack} */
function first(stream) {
  const [track] = stream.getTracks();
  if (!track) throw new DOMException("No track", "NotFoundError");
  return track;
}
