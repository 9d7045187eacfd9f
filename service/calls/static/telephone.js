/**
 * The sound of a call in its page: the microphone out, the family's voice in. It knows nothing of the page, of numbers or of
 * why; the server decides whether anybody is heard, and this only carries it.
 */

const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const LONGEST_GATHERING = 3000; // ms; the server's offer has to be complete, since nothing is added to it later

/**
 * @typedef {object} Telephone
 * @property {string} offer  the SDP offer, complete
 * @property {(answer: string) => Promise<void>} accept  the server's SDP answer
 * @property {(held: boolean) => void} hold  neither send a voice nor play one
 * @property {() => void} close  let go of the microphone and of the connection; more than once does nothing
 */

/**
 * Open the microphone and make an offer. Rejects as `getUserMedia` does where there is no microphone or no permission for it.
 * @returns {Promise<Telephone>}
 */
export async function openTelephone() {
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
  const connection = new RTCPeerConnection(); // no ICE servers: the server's own address is in its answer
  const voice = new Audio();
  voice.autoplay = true;

  const close = () => {
    for (const track of microphone.getTracks()) track.stop();
    connection.close();
    voice.srcObject = null;
  };

  try {
    for (const track of microphone.getAudioTracks()) connection.addTrack(track, microphone);
    connection.ontrack = ({ track }) => {
      voice.srcObject = new MediaStream([track]);
      voice.play().catch(() => undefined); // a page that was clicked in may play; otherwise `autoplay` does so on the next click
    };
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
  } catch (error) {
    close();
    throw error;
  }

  return {
    offer: connection.localDescription?.sdp ?? "",
    accept: (answer) => connection.setRemoteDescription({ type: "answer", sdp: answer }),
    hold(held) {
      for (const track of microphone.getAudioTracks()) track.enabled = !held;
      voice.muted = held;
    },
    close,
  };
}

/**
 * Until every address of ours is in the offer, or long enough.
 * @param {RTCPeerConnection} connection
 * @returns {Promise<void>}
 */
function gathered(connection) {
  return new Promise((resolve) => {
    const done = () => {
      if (connection.iceGatheringState === "complete") resolve();
    };
    connection.addEventListener("icegatheringstatechange", done);
    setTimeout(resolve, LONGEST_GATHERING);
    done();
  });
}
