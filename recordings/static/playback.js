// Plays many recorded tracks together. No page here: media elements in, positions out.
// Each track has a MediaSource and an element of its own, on the lesson's clock; sound leads and pictures follow,
// because a muted picture runs on the wall clock and sound on the sound device's.

const AHEAD = 12000; // milliseconds of a track to hold ready
const BEHIND = 20000; // and to keep
const SOON = 15000; // make the element this long before its track begins
const BATCH = 8;
const TICK = 100;
const RETRY = 1000;

/** @typedef {{part: number, track: number, person: string, name: string, source: string, mime: string,
 *    spans: [number, number][], alone: [number, number][], beside: [number, number][], clusters: number[]}} TrackInfo
 *  `alone`: when it was the largest picture of its source; `beside`: when others saw a larger one. */

/** The clusters of one track: when each begins, and where a seek may start. */
export class Index {
  /** @param {number[]} flat first time, last time, key; three numbers a cluster */
  constructor(flat) {
    this.flat = flat;
    this.length = flat.length / 3;
  }

  /** @param {number} n */
  first(n) { return this.flat[n * 3] ?? Infinity; }

  /** @param {number} n */
  isKey(n) { return this.flat[n * 3 + 2] === 1; }

  /** The last cluster that begins at or before `ms`, -1 when none does. @param {number} ms */
  at(ms) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.first(middle) <= ms) low = middle + 1; else high = middle;
    }
    return low - 1;
  }

  /** Where to begin appending so that `ms` can be shown. @param {number} ms */
  startFor(ms) {
    let n = Math.max(0, this.at(ms));
    while (n > 0 && !this.isKey(n)) n -= 1;
    return n;
  }
}

/** One track in its own element. */
export class Track {
  /** @param {TrackInfo} info @param {string} review the address of this view @param {number} end of the lesson */
  constructor(info, review, end) {
    this.info = info;
    this.end = end;
    this.index = new Index(info.clusters);
    this.address = `${review}/parts/${info.part}/tracks/${info.track}`;
    this.isSound = info.source === 'microphone';
    /** @type {HTMLMediaElement | null} */
    this.element = null;
    this.wanted = true;
    /** When it is played: where it stood alone, or, when the small pictures are asked for, always. */
    this.spans = info.alone;
    this.damaged = false;
    this.next = 0;
    this.generation = 0;
    this.busy = false;
    this.notBefore = 0;
    /** @type {SourceBuffer | null} */
    this.buffer = null;
  }

  /** The stretch that `ms` lies in. @param {number} ms */
  spanAt(ms) { return this.spans.find(([start, end]) => start <= ms && ms < end); }

  /** Whether some were shown this small picture at `ms` while others saw the large one. @param {number} ms */
  isBeside(ms) { return this.info.beside.some(([start, end]) => start <= ms && ms < end); }

  /** Whether it is there between two moments. @param {number} from @param {number} to */
  isThere(from, to) { return this.spans.some(([start, end]) => start < to && from < end); }

  /** When it begins next. @param {number} ms */
  nextStart(ms) { return this.spans.find(([start]) => start > ms)?.[0] ?? Infinity; }

  async open() {
    this.busy = true; // nothing is appended before the beginning
    const element = document.createElement(this.isSound ? 'audio' : 'video');
    element.muted = !this.isSound;
    element.preservesPitch = true;
    element.disableRemotePlayback = true;
    if (element instanceof HTMLVideoElement) {
      element.playsInline = true;
      element.disablePictureInPicture = true;
    }
    element.dataset.person = this.info.person;
    element.dataset.source = this.info.source;
    this.element = element;
    const source = new MediaSource();
    element.src = URL.createObjectURL(source);
    await new Promise((done) => source.addEventListener('sourceopen', done, { once: true }));
    URL.revokeObjectURL(element.src);
    this.buffer = source.addSourceBuffer(this.info.mime);
    source.duration = this.end / 1000 + 1; // else a seek beyond what is loaded would be cut short
    await this.append(await this.fetch(`${this.address}/beginning`));
    this.busy = false;
  }

  close() {
    this.generation += 1;
    this.busy = false;
    this.element?.pause();
    this.element?.removeAttribute('src');
    this.element?.load();
    this.element?.remove();
    this.element = null;
    this.buffer = null;
  }

  /** @param {string} address */
  async fetch(address) {
    const answer = await fetch(address, { cache: 'no-store', headers: { Accept: 'application/json' } });
    if (!answer.ok) throw Object.assign(new Error(`answer ${answer.status}`), { status: answer.status });
    return answer.arrayBuffer();
  }

  /** @param {ArrayBuffer} bytes */
  append(bytes) { return this.update((buffer) => buffer.appendBuffer(bytes)); }

  /** @param {(buffer: SourceBuffer) => void} change */
  async update(change) {
    const buffer = this.buffer;
    if (!buffer) return;
    await new Promise((done, failed) => {
      buffer.addEventListener('updateend', done, { once: true });
      buffer.addEventListener('error', () => failed(new Error('this piece cannot be played')), { once: true });
      change(buffer);
    });
  }

  /** Whether `ms` could be shown at once. @param {number} ms */
  has(ms) {
    const ranges = this.element?.buffered;
    for (let n = 0; ranges && n < ranges.length; n += 1) {
      if (ranges.start(n) - 0.05 <= ms / 1000 && ms / 1000 < ranges.end(n)) return true;
    }
    return false;
  }

  /** Whether all that there is up to `ms` was loaded, and `ms` is not in it: a piece was left out. @param {number} ms */
  isMissing(ms) { return !this.busy && this.buffer !== null && this.index.first(this.next) > ms && !this.has(ms); }

  /** Be ready to show `ms`. @param {number} ms */
  seek(ms) {
    if (!this.has(ms)) {
      this.generation += 1;
      this.next = this.index.startFor(ms);
    }
    if (this.element) this.element.currentTime = ms / 1000;
  }

  /** Fetch and append what comes next; one piece of work at a time. @param {number} ms */
  async fill(ms) {
    if (this.busy || !this.buffer || this.next >= this.index.length || this.index.first(this.next) > ms + AHEAD) return;
    if (performance.now() < this.notBefore) return;
    this.busy = true;
    const generation = this.generation;
    try {
      const first = this.next;
      const count = this.damaged ? 1 : BATCH;
      const bytes = await this.fetch(`${this.address}/clusters?first=${first}&count=${count}`);
      if (generation !== this.generation || !this.buffer) return;
      await this.append(bytes);
      if (generation === this.generation) this.next = first + count;
      if (ms > BEHIND) await this.update((buffer) => buffer.remove(0, (ms - BEHIND) / 1000));
    } catch (error) {
      if (generation === this.generation) this.onRefusal(/** @type {{status?: number}} */ (error).status);
    } finally {
      this.busy = false;
    }
  }

  /** A piece that does not match its seal is left out, alone; a view that is over ends; all else is tried again.
   * @param {number | undefined} status */
  onRefusal(status) {
    if (status === 409 && !this.damaged) {
      this.damaged = true;
    } else if (status === 409) {
      this.next += 1;
      this.damaged = false;
      this.tell?.('damaged');
    } else if (status === 401 || status === 404) {
      this.next = Infinity;
      this.tell?.('over');
    } else {
      this.notBefore = performance.now() + RETRY;
    }
  }

  /** @type {((what: 'damaged' | 'over') => void) | undefined} */
  tell;
}

/** The whole lesson: one position, every track held to it. */
export class Playback extends EventTarget {
  /** @param {{end_ms: number, tracks: TrackInfo[]}} lesson @param {string} review */
  constructor(lesson, review) {
    super();
    this.end = lesson.end_ms;
    this.tracks = lesson.tracks.map((info) => new Track(info, review, lesson.end_ms));
    for (const track of this.tracks) track.tell = (what) => this.dispatchEvent(new CustomEvent(what));
    this.position = 0;
    this.rate = 1;
    this.playing = false;
    this.waiting = false;
    this.waitingSince = 0;
    this.before = performance.now();
    this.timer = setInterval(() => this.tick(), TICK);
  }

  play() {
    if (this.position >= this.end) this.seek(0);
    this.playing = true;
    this.before = performance.now();
    this.tick();
  }

  pause() {
    this.playing = false;
    for (const track of this.tracks) track.element?.pause();
    this.dispatchEvent(new Event('moved'));
  }

  /** Play the small pictures beside the large ones too, or only where there is nothing larger. @param {boolean} on */
  showSmall(on) {
    for (const track of this.tracks) track.spans = on ? track.info.spans : track.info.alone;
    this.seek(this.position);
  }

  /** @param {number} ms */
  seek(ms) {
    this.position = Math.max(0, Math.min(this.end, ms));
    this.waitingSince = performance.now();
    for (const track of this.tracks) if (track.element) track.seek(this.position);
    this.tick();
  }

  tick() {
    const now = performance.now();
    const passed = now - this.before;
    this.before = now;
    this.arrange();
    const due = this.due();
    const late = due.filter((track) => (track.element?.readyState ?? 0) < 2 || !track.has(this.position));
    if (!late.length) this.waitingSince = now;
    // What never comes is not waited for longer than this; the rest goes on without it.
    this.waiting = late.length > 0 && now - this.waitingSince < 4000;
    if (this.playing && !this.waiting) this.advance(passed, due);
    this.follow(this.due()); // where it has come to by now
    this.dispatchEvent(new Event('moved'));
  }

  /** What is to be seen and heard at this position. */
  due() {
    return this.tracks.filter((track) => track.wanted && track.spanAt(this.position) && !track.isMissing(this.position));
  }

  /** @param {number} passed @param {Track[]} due */
  advance(passed, due) {
    // A sound that is about to end stops a little early; it leads no longer then.
    const leader = due.find((track) => track.isSound && track.element && !track.element.paused && track.element.readyState > 2);
    const expected = this.position + passed * this.rate;
    const led = leader?.element ? leader.element.currentTime * 1000 : expected;
    this.position = Math.min(this.end, Math.abs(led - expected) < 400 ? Math.max(led, this.position) : expected);
    if (this.position >= this.end) this.pause();
  }

  /** Make elements for what comes soon, drop those of what is long over, keep all of them filled. */
  arrange() {
    for (const track of this.tracks) {
      const soon = track.wanted && track.isThere(this.position - 2000, this.position + SOON);
      if (soon && !track.element && performance.now() >= track.notBefore) {
        track.open().then(() => {
          track.seek(this.position);
          this.dispatchEvent(new CustomEvent('opened', { detail: track }));
        }, (error) => {
          track.close();
          track.onRefusal(error.status);
        });
      } else if (!track.wanted || !track.isThere(this.position - 30000, this.position + 2 * SOON)) {
        if (track.element) track.close();
      }
      if (track.element) void track.fill(this.position);
    }
  }

  /** Hold every element to the position. @param {Track[]} due */
  follow(due) {
    for (const track of this.tracks) {
      const element = track.element;
      if (!element) continue;
      const isDue = due.includes(track);
      element.hidden = track.isSound || !isDue;
      if (!isDue) {
        if (!element.paused) element.pause();
        const start = track.nextStart(this.position);
        // Ready before it begins, so that it begins in time.
        if (start - this.position < 1000 && Math.abs(element.currentTime * 1000 - start) > 50) track.seek(start);
        continue;
      }
      if (!this.playing || this.waiting) {
        if (!element.paused) element.pause();
        continue;
      }
      const error = element.currentTime * 1000 - this.position;
      if (Math.abs(error) > 400) element.currentTime = (this.position + 50 * this.rate) / 1000;
      else if (Math.abs(error) > 25) element.playbackRate = this.rate * (1 - Math.max(-0.08, Math.min(0.08, error / 1000)));
      else if (element.playbackRate !== this.rate) element.playbackRate = this.rate;
      if (element.paused) element.play().catch(() => this.dispatchEvent(new Event('refused')));
    }
  }
}
