// Reads the square on a pupil's badge with the camera, and sends its code as if it had been typed.
// Pictures are looked at here and dropped: nothing but the code leaves the page.
import "./vendor/jsQR.js";

const scanner = document.getElementById("scanner");
const picture = /** @type {HTMLVideoElement} */ (document.getElementById("scanner-picture"));
const words = document.getElementById("scanner-words");
const form = /** @type {HTMLFormElement} */ (document.getElementById("code-form"));
const code = /** @type {HTMLInputElement} */ (document.getElementById("code"));
const CODE = /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/;
const LONGEST_SIDE = 640;

async function start() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } }, audio: false });
  picture.srcObject = stream;
  scanner.hidden = false;
  await picture.play();
  const canvas = document.createElement("canvas");
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const found = () => stream.getTracks().forEach((track) => track.stop());
  window.addEventListener("pagehide", found, { once: true });
  look(canvas, brush, found);
}

function look(canvas, brush, found) {
  if (picture.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && picture.videoWidth) {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.videoWidth, picture.videoHeight));
    canvas.width = Math.round(picture.videoWidth * scale);
    canvas.height = Math.round(picture.videoHeight * scale);
    brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const read = self.jsQR(brush.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height);
    if (read && CODE.test(read.data)) {
      found();
      words.textContent = "Got it.";
      code.value = read.data;
      form.requestSubmit();
      return;
    }
    if (read) words.textContent = "That is not a badge. Hold your badge up.";
  }
  setTimeout(() => look(canvas, brush, found), 120);
}

if (navigator.mediaDevices?.getUserMedia) {
  start().catch(() => { scanner.hidden = true; });  // no camera, or not allowed: typing is on the page anyway
}
