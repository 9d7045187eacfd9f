// @ts-check
/**
 * Background blur (policy: RL3). Everything happens on this device: the model comes from this service, no picture leaves
 * for it, and the camera itself is never handed on once blurring has begun. A device too slow for it is told so.
 */

const HOME = new URL("vendor/", import.meta.url);
const WIDTH = 640;
const HEIGHT = 360;
const COARSE = 24; // the background is drawn this many pixels wide and enlarged: nothing in it can be made out
const TRIAL_FRAMES = 6; // of which the first pays for starting up
const SLOWEST = 110; // milliseconds a frame may take; above it a face would jerk and the device would grow hot
const EVERY = 66; // milliseconds between frames
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

/**
 * What we use of the segmenter, a script of its own that puts itself on the window.
 * @typedef {object} Segmenter
 * @property {(options: {modelSelection: number}) => void} setOptions
 * @property {(listener: (results: {image: CanvasImageSource, segmentationMask: CanvasImageSource}) => void) => void} onResults
 * @property {(input: {image: HTMLVideoElement}) => Promise<void>} send
 * @property {() => Promise<void>} initialize
 * @property {() => Promise<void>} close
 */

/** @typedef {{track: MediaStreamTrack, stop: () => void}} Picture */

/** @type {Promise<void> | null} */
let script = null;

/** Whether there is a graphics processor to do it with: in software it would take all the device's strength. */
export function canBlur() {
  const drawing = document.createElement("canvas").getContext("webgl2");
  if (!drawing || !HTMLCanvasElement.prototype.captureStream) return false;
  const named = drawing.getExtension("WEBGL_debug_renderer_info");
  const renderer = named ? String(drawing.getParameter(named.UNMASKED_RENDERER_WEBGL)) : "";
  drawing.getExtension("WEBGL_lose_context")?.loseContext();
  return !SOFTWARE.test(renderer);
}

/**
 * The same picture with all but the person coarse. Null when this device is too slow.
 * @param {MediaStreamTrack} raw
 * @param {number} [slowest] milliseconds a frame may take
 * @returns {Promise<Picture | null>}
 */
export async function blurred(raw, slowest = SLOWEST) {
  const segmenter = await newSegmenter();
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = new MediaStream([raw]);
  await video.play();
  const picture = new Painting();
  segmenter.onResults(({ image, segmentationMask }) => picture.paint(image, segmentationMask));
  const took = [];
  for (let frame = 0; frame < TRIAL_FRAMES; frame += 1) {
    const began = performance.now();
    await segmenter.send({ image: video });
    took.push(performance.now() - began);
  }
  const usual = took.sort((a, b) => a - b)[TRIAL_FRAMES >> 1] ?? Infinity;
  if (usual > slowest) {
    video.srcObject = null;
    await segmenter.close();
    return null;
  }
  return keepPainting(segmenter, video, picture);
}

/**
 * @param {Segmenter} segmenter
 * @param {HTMLVideoElement} video
 * @param {Painting} picture
 * @returns {Picture}
 */
function keepPainting(segmenter, video, picture) {
  const track = picture.track();
  let busy = false;
  const timer = setInterval(async () => {
    if (busy || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    busy = true;
    await segmenter.send({ image: video }).catch(() => stop());
    busy = false;
  }, EVERY);
  function stop() {
    clearInterval(timer);
    track.stop();
    video.srcObject = null;
    void segmenter.close().catch(() => {});
  }
  return { track, stop };
}

class Painting {
  #canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  #coarse = Object.assign(document.createElement("canvas"), { width: COARSE, height: Math.round((COARSE * HEIGHT) / WIDTH) });
  #pen = this.#canvas.getContext("2d");
  #coarsePen = this.#coarse.getContext("2d");

  track() {
    const [track] = this.#canvas.captureStream(1000 / EVERY).getVideoTracks();
    if (!track) throw new Error("This browser cannot capture a canvas");
    return track;
  }

  /** @param {CanvasImageSource} image @param {CanvasImageSource} person where somebody is */
  paint(image, person) {
    const [pen, coarse] = [this.#pen, this.#coarsePen];
    if (!pen || !coarse) return;
    coarse.drawImage(image, 0, 0, this.#coarse.width, this.#coarse.height);
    pen.globalCompositeOperation = "copy";
    pen.drawImage(person, 0, 0, WIDTH, HEIGHT);
    pen.globalCompositeOperation = "source-in";
    pen.drawImage(image, 0, 0, WIDTH, HEIGHT);
    pen.globalCompositeOperation = "destination-over";
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.#coarse, 0, 0, WIDTH, HEIGHT);
  }
}

/** @returns {Promise<Segmenter>} */
async function newSegmenter() {
  script ??= load();
  await script;
  const Made = /** @type {any} */ (window).SelfieSegmentation;
  /** @type {Segmenter} */
  const segmenter = new Made({ locateFile: (/** @type {string} */ file) => new URL(file, HOME).href });
  segmenter.setOptions({ modelSelection: 1 }); // the wide model: less work for a wide picture
  await segmenter.initialize();
  return segmenter;
}

/** The segmenter adds script elements of its own; only those of our own folder may be added. */
function load() {
  const types = /** @type {any} */ (window).trustedTypes;
  types?.createPolicy("default", {
    createScriptURL: (/** @type {string} */ address) => (new URL(address, location.href).href.startsWith(HOME.href) ? address : null),
  });
  return /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.onload = () => resolve();
    element.onerror = () => reject(new Error("The blur could not be loaded"));
    element.src = new URL("selfie_segmentation.js", HOME).href;
    document.head.append(element);
  }));
}
