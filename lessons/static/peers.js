// @ts-check
/**
 * The two peer connections of a person: what goes up (one microphone, one camera in two sizes, one screen, in that
 * order, never renegotiated) and what comes down (whatever the server's latest offer holds). No DOM here.
 *
 * The server is ICE-lite and learns this side's address from its packets, so an offer leaves without waiting for
 * candidates, and no address of a child is ever written into a message.
 */

/** @typedef {import("./messages.js").Source} Source */
/** @typedef {import("./messages.js").Stream} Stream */

const SMALL = { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 90_000 };
const LARGE = { rid: "h", maxBitrate: 700_000 };
const SCREEN = { maxBitrate: 1_500_000, maxFramerate: 10 };
const AUDIBLE = 0.02; // of full scale: speech, not a fan

/**
 * Ask for loss repair of speech too. Browsers accept it but never offer it.
 * @param {RTCSessionDescriptionInit} description
 * @returns {RTCSessionDescriptionInit}
 */
export function withAudioRepair({ type, sdp = "" }) {
  const opus = /^a=rtpmap:(\d+) opus\/48000.*$/gim;
  const repaired = sdp.replace(opus, (line, payload) =>
    new RegExp(`^a=rtcp-fb:${payload} nack\\s*$`, "m").test(sdp) ? line : `${line.trimEnd()}\r\na=rtcp-fb:${payload} nack`);
  return { type, sdp: repaired };
}

/**
 * @param {RTCPeerConnection} peer
 * @param {RTCSessionDescriptionInit} description
 */
async function setLocal(peer, description) {
  try {
    await peer.setLocalDescription(withAudioRepair(description));
  } catch {
    await peer.setLocalDescription(description); // a browser that refuses the added line does without it
  }
  return peer.localDescription?.sdp ?? "";
}

/**
 * The sdp without this side's addresses: the server needs none of them.
 * @param {string} sdp
 */
const withoutAddresses = (sdp) => sdp.replace(/^a=candidate:.*\r?\n/gm, "");

/** @param {RTCPeerConnection} peer @param {"bytesSent" | "bytesReceived"} figure */
async function transportBytes(peer, figure) {
  let bytes = 0;
  (await peer.getStats()).forEach((report) => {
    if (report.type === "transport") bytes += report[figure] ?? 0;
  });
  return bytes;
}

export class Uplink {
  #peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  #senders;

  /**
   * @param {{microphone: MediaStreamTrack, camera: MediaStreamTrack | null, screen: MediaStreamTrack | null}} tracks
   * @param {(state: RTCPeerConnectionState) => void} changed
   */
  constructor(tracks, changed) {
    const peer = this.#peer;
    peer.onconnectionstatechange = () => changed(peer.connectionState);
    /** @param {MediaStreamTrack | "video"} what @param {RTCRtpEncodingParameters[]} [sendEncodings] */
    const send = (what, sendEncodings) =>
      peer.addTransceiver(what, { direction: "sendonly", ...(sendEncodings ? { sendEncodings } : {}) }).sender;
    this.#senders = {
      microphone: send(tracks.microphone),
      camera: send("video", [{ ...SMALL }, { ...LARGE }]),
      screen: send("video", [{ ...SCREEN }]),
    };
    this.setTrack("camera", tracks.camera);
    this.setTrack("screen", tracks.screen);
  }

  get state() {
    return this.#peer.connectionState;
  }

  async offer() {
    return withoutAddresses(await setLocal(this.#peer, await this.#peer.createOffer()));
  }

  /** @param {string} sdp */
  async accept(sdp) {
    if (this.#peer.signalingState === "have-local-offer") await this.#peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** @param {Source} source @param {MediaStreamTrack | null} track */
  setTrack(source, track) {
    const sender = this.#senders[source];
    if (sender.track !== track) void sender.replaceTrack(track).catch(() => {});
  }

  /** @param {boolean} active */
  setLargeLayer(active) {
    const parameters = this.#senders.camera.getParameters();
    const large = parameters.encodings?.find((encoding) => encoding.rid === "h");
    if (!large || large.active === active) return;
    large.active = active;
    void this.#senders.camera.setParameters(parameters).catch(() => {});
  }

  bytes() {
    return transportBytes(this.#peer, "bytesSent");
  }

  close() {
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
  }
}

export class Downlink {
  #peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  /** @type {Stream[]} */
  #streams = [];
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve(); // offers are answered one after the other

  /** @param {(state: RTCPeerConnectionState) => void} changed */
  constructor(changed) {
    const peer = this.#peer;
    peer.onconnectionstatechange = () => changed(peer.connectionState);
  }

  get state() {
    return this.#peer.connectionState;
  }

  /**
   * @param {string} sdp
   * @param {{mid: string, person: string, source: Source}[]} wanted
   * @returns {Promise<{sdp: string, streams: Stream[]}>}
   */
  answer(sdp, wanted) {
    const answered = this.#turn.then(() => this.#answer(sdp, wanted));
    this.#turn = answered.catch(() => {});
    return answered;
  }

  /** @param {string} sdp @param {{mid: string, person: string, source: Source}[]} wanted */
  async #answer(sdp, wanted) {
    const peer = this.#peer;
    await peer.setRemoteDescription({ type: "offer", sdp });
    const local = await setLocal(peer, await peer.createAnswer());
    const tracks = new Map(peer.getTransceivers().map(({ mid, receiver }) => [mid, receiver.track]));
    this.#streams = wanted.flatMap((stream) => {
      const track = tracks.get(stream.mid);
      return track ? [{ ...stream, track }] : [];
    });
    return { sdp: withoutAddresses(local), streams: this.#streams };
  }

  /** @returns {Set<string>} */
  speaking() {
    const loud = new Set();
    for (const { mid, receiver } of this.#peer.getTransceivers()) {
      const stream = this.#streams.find((known) => known.mid === mid && known.source === "microphone");
      if (stream && receiver.getSynchronizationSources().some((source) => (source.audioLevel ?? 0) > AUDIBLE)) loud.add(stream.person);
    }
    return loud;
  }

  bytes() {
    return transportBytes(this.#peer, "bytesReceived");
  }

  close() {
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
  }
}
