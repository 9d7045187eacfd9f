// The server's end of the media, for tests of the page alone: real peer connections in the same browser.
window.fakeSfu = (() => {
  const gathered = (peer) => new Promise((resolve) => {
    if (peer.iceGatheringState === "complete") resolve();
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
  });
  const picture = ({ colour, words, width = 640, height = 360 }) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    let turn = 0;
    const draw = () => {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, width, height);
      if (words.startsWith("screen")) {
        pen.fillStyle = "#fff"; pen.fillRect(width * 0.05, height * 0.08, width * 0.9, height * 0.84);
        pen.fillStyle = "#123"; pen.font = `bold ${height / 9}px sans-serif`;
        pen.fillText("Fractions", width * 0.1, height * 0.28);
        pen.font = `${height / 12}px sans-serif`;
        pen.fillText("1/2 + 1/4 = ?", width * 0.1, height * 0.5);
        pen.fillText("Show it on a number line.", width * 0.1, height * 0.66);
      } else {
        pen.fillStyle = "rgba(255,255,255,.85)";
        pen.beginPath(); pen.arc(width / 2, height * 0.42, height * 0.17, 0, 7); pen.fill();
        pen.beginPath(); pen.ellipse(width / 2, height * 0.98, height * 0.36, height * 0.36, 0, 0, 7); pen.fill();
      }
      pen.fillStyle = turn++ % 2 ? "#fff" : "#000"; pen.fillRect(width - 8, height - 8, 6, 6);
    };
    draw();
    setInterval(draw, 200);
    return canvas.captureStream(5).getVideoTracks()[0];
  };
  const tone = () => {
    const sound = new AudioContext();
    const out = sound.createMediaStreamDestination();
    const wave = sound.createOscillator();
    wave.connect(out);
    wave.start();
    return out.stream.getAudioTracks()[0];
  };
  let down = null;
  const sending = new Map();
  return {
    async accept(sdp) {
      const peer = new RTCPeerConnection();
      window.fakeUp = peer;
      await peer.setRemoteDescription({ type: "offer", sdp });
      await peer.setLocalDescription();
      await gathered(peer);
      return peer.localDescription.sdp;
    },
    async offer(streams) {
      down ??= new RTCPeerConnection();
      for (const stream of streams) {
        const key = `${stream.source} ${stream.person}`;
        if (sending.has(key)) continue;
        sending.set(key, down.addTransceiver(stream.source === "microphone" ? tone() : picture(stream), { direction: "sendonly" }));
      }
      await down.setLocalDescription();
      await gathered(down);
      const listed = streams.map(({ person, source }) => ({ mid: sending.get(`${source} ${person}`).mid, person, source }));
      return { sdp: down.localDescription.sdp, streams: listed };
    },
    answered: (sdp) => down.setRemoteDescription({ type: "answer", sdp }),
    async uplink() {
      const seen = {};
      for (const { receiver, mid } of window.fakeUp.getTransceivers()) {
        (await receiver.getStats()).forEach((report) => { if (report.type === "inbound-rtp") seen[mid] = report.packetsReceived; });
      }
      return seen;
    },
  };
})();
