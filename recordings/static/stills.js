// Small pictures of moments, drawn with the name of who is watching in them: nothing is kept, and no address is made of them.

/** @typedef {import('./playback.js').TrackInfo} TrackInfo */

const MOST_KEPT = 240;
const AT_ONCE = 4;
const FRESH = 30000; // an older picture says too little of the moment

/** Fetches small pictures, a few at a time, the latest wish first. */
export class Stills {
  /** @param {string} review @param {() => string} words of the watermark */
  constructor(review, words) {
    this.review = review;
    this.words = words;
    /** @type {Map<string, ImageBitmap>} */
    this.kept = new Map();
    /** @type {{canvas: HTMLCanvasElement, address: string}[]} */
    this.wishes = [];
    this.running = 0;
  }

  /** The moment of the picture that shows `ms` best. @param {TrackInfo} info @param {number} ms */
  static moment(info, ms) {
    let low = 0;
    let high = info.pictures.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((info.pictures[middle] ?? Infinity) <= ms) low = middle + 1; else high = middle;
    }
    const at = info.pictures[low - 1];
    return at === undefined || ms - at > FRESH ? undefined : at;
  }

  /** Draw a moment into a canvas, when it has come. @param {HTMLCanvasElement} canvas @param {TrackInfo} info @param {number} at */
  show(canvas, info, at) {
    const address = `${this.review}/parts/${info.part}/tracks/${info.track}/pictures/${at}`;
    if (canvas.dataset.shows === address) return;
    canvas.dataset.shows = address;
    this.wishes = [{ canvas, address }, ...this.wishes.filter((each) => each.canvas !== canvas)];
    void this.run();
  }

  async run() {
    while (this.running < AT_ONCE) {
      const wish = this.wishes.shift();
      if (!wish) return;
      if (wish.canvas.dataset.shows !== wish.address) continue;
      const kept = this.kept.get(wish.address);
      if (kept) this.draw(wish.canvas, kept);
      else void this.fetch(wish);
    }
  }

  /** @param {{canvas: HTMLCanvasElement, address: string}} wish */
  async fetch(wish) {
    this.running += 1;
    try {
      const answer = await fetch(wish.address, { cache: 'no-store', headers: { Accept: 'application/json' } });
      if (!answer.ok) return;
      const picture = await createImageBitmap(await answer.blob());
      this.keep(wish.address, picture);
      if (wish.canvas.dataset.shows === wish.address) this.draw(wish.canvas, picture);
    } catch {
      delete wish.canvas.dataset.shows; // asked for again when it is wanted again
    } finally {
      this.running -= 1;
      void this.run();
    }
  }

  /** @param {string} address @param {ImageBitmap} picture */
  keep(address, picture) {
    this.kept.set(address, picture);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MOST_KEPT && oldest) {
      this.kept.get(oldest)?.close();
      this.kept.delete(oldest);
    }
  }

  /** @param {HTMLCanvasElement} canvas @param {ImageBitmap} picture */
  draw(canvas, picture) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    const pen = canvas.getContext('2d');
    if (!pen) return;
    pen.drawImage(picture, 0, 0);
    pen.translate(canvas.width / 2, canvas.height / 2);
    pen.rotate(-0.2);
    pen.font = `${Math.max(9, canvas.width / 18)}px arial, sans-serif`;
    pen.textAlign = 'center';
    pen.fillStyle = 'rgb(255 255 255 / 60%)';
    pen.strokeStyle = 'rgb(0 0 0 / 60%)';
    for (const y of [-canvas.height / 4, canvas.height / 4]) {
      pen.strokeText(this.words(), 0, y, canvas.width);
      pen.fillText(this.words(), 0, y, canvas.width);
    }
  }
}
