// Plays many recorded tracks together. No page here: media elements in, positions out.
// Each track has a MediaSource and an element of its own, on the lesson's clock; sound leads and pictures follow,
// because a muted picture runs on the wall clock and sound on the sound device's. One request brings what all of them
// need next, so that thirty people cost as many requests as one.

const FIRST = 1500; // milliseconds of each track that a seek waits for
const AHEAD = 12000; // and that are held ready while it plays
const BEHIND = 20000; // and kept
const SOON = 15000; // make the element this long before its track begins
const TICK = 100;
const RETRY = 1000;
const MOST_PICTURES = 12; // more than this many at once stutter on a school's laptop; the others stand still
const HEAD = 20; // bytes before the pieces of a track
const NEVER = 0xffffffff;

/** @typedef {{part: number, track: number, person: string, name: string, source: string, mime: string, staff: boolean,
 *    spans: [number, number][], alone: [number, number][], beside: [number, number][], speech: [number, number][],
 *    pictures: number[]}} TrackInfo
 *  `alone`: when it was the largest picture of its source; `beside`: when others saw a larger one. */

/** Whether one of `spans`, which are in order, touches the time between two moments.
 * @param {[number, number][]} spans @param {number} from @param {number} to */
export const touches = (spans, from, to) => spans.some(([start, end]) => start < to && from < end);

/** One track in its own element. */
export class Track {
  /** @param {TrackInfo} info @param {number} end of the lesson */
  constructor(info, end) {
    this.info = info;
    this.end = end;
    this.key = `${info.part}.${info.track}`;
    this.isSound = info.source === 'microphone';
    /** @type {HTMLMediaElement | null} */
    this.element = null;
    this.wanted = true;
    /** Whether it plays; a picture for which there is no room stands still. */
    this.live = this.isSound;
    /** When it is played: where it stood alone, or, when the small pictures are asked for, always. */
    this.spans = info.alone;
    /** The number of the piece that comes next; null: begin afresh where the position is. @type {number | null} */
    this.next = null;
    this.begins = 0;
    this.generation = 0;
    this.busy = false;
    /** Pieces that do not match their seal. @type {[number, number][]} */
    this.damaged = [];
    /** @type {SourceBuffer | null} */
    this.buffer = null;
    this.ready = Promise.resolve();
  }

  /** The stretch that `ms` lies in. @param {number} ms */
  spanAt(ms) { return this.spans.find(([start, end]) => start <= ms && ms < end); }

  /** Whether some were shown this small picture at `ms` while others saw the large one. @param {number} ms */
  isBeside(ms) { return touches(this.info.beside, ms, ms + 1); }

  /** When it begins next. @param {number} ms */
  nextStart(ms) { return this.spans.find(([start]) => start > ms)?.[0] ?? Infinity; }

  open() {
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
    this.next = null;
    const source = new MediaSource();
    element.src = URL.createObjectURL(source);
    this.ready = new Promise((done) => source.addEventListener('sourceopen', done, { once: true })).then(() => {
      URL.revokeObjectURL(element.src);
      if (this.element !== element) return;
      this.buffer = source.addSourceBuffer(this.info.mime);
      source.duration = this.end / 1000 + 1; // else a seek beyond what is loaded would be cut short
    });
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
    this.next = null;
  }

  /** Whether it lacks something that is there before `until`. @param {number} until */
  isHungry(until) { return this.element !== null && !this.busy && (this.next === null || this.begins < until); }

  /** What it asks for. */
  get wish() { return this.next === null ? this.key : `${this.key}.${this.next}`; }

  /** Take what came. @param {number} next @param {number} begins @param {number} missing @param {Uint8Array<ArrayBuffer>} bytes
   * @param {number} at the position, so that what is long past is let go */
  async take(next, begins, missing, bytes, at) {
    this.next = next;
    this.begins = begins === NEVER ? Infinity : begins;
    if (missing !== NEVER && !touches(this.damaged, missing, missing + 1)) {
      this.damaged.push([missing, Math.min(this.begins, this.end)]);
      this.damaged.sort(([one], [other]) => one - other);
    }
    const generation = this.generation;
    this.busy = true;
    try {
      await this.ready;
      if (generation !== this.generation) return; // it was closed, or is somewhere else by now
      if (bytes.length) await this.update((buffer) => buffer.appendBuffer(bytes));
      if (at > BEHIND && generation === this.generation) {
        await this.update((buffer) => buffer.remove(0, (at - BEHIND) / 1000));
      }
    } catch {
      if (generation === this.generation) this.begins = Infinity; // what the browser cannot play is not tried again
    } finally {
      if (generation === this.generation) this.busy = false;
    }
  }

  /** @param {(buffer: SourceBuffer) => void} change */
  async update(change) {
    const buffer = this.buffer;
    if (!buffer) return;
    while (buffer.updating) await new Promise((done) => buffer.addEventListener('updateend', done, { once: true }));
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
  isMissing(ms) { return !this.busy && this.next !== null && this.begins > ms && !this.has(ms); }

  /** Be ready to show `ms`; true when something has to be fetched for it. @param {number} ms */
  seek(ms) {
    const lacks = !this.has(ms);
    if (lacks) {
      this.generation += 1;
      this.busy = false;
      this.next = null;
    }
    if (this.element) this.element.currentTime = ms / 1000;
    return lacks;
  }
}

/** The whole lesson: one position, every track held to it. */
export class Playback extends EventTarget {
  /** @param {{end_ms: number, tracks: TrackInfo[]}} lesson @param {string} review */
  constructor(lesson, review) {
    super();
    this.end = lesson.end_ms;
    this.review = review;
    this.tracks = lesson.tracks.map((info) => new Track(info, lesson.end_ms));
    this.position = 0;
    this.rate = 1;
    this.playing = false;
    this.waiting = false;
    this.waitingSince = 0;
    this.over = false;
    this.notBefore = 0;
    /** Whose picture comes first. */
    this.favourite = '';
    /** @type {AbortController | null} */
    this.asking = null;
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
    const lacking = this.tracks.filter((track) => track.element && track.seek(this.position));
    if (lacking.length) {
      this.asking?.abort();
      this.asking = null;
    }
    this.tick();
  }

  tick() {
    const now = performance.now();
    const passed = now - this.before;
    this.before = now;
    this.choose();
    this.arrange();
    void this.pump();
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
    return this.tracks.filter((track) => track.wanted && track.live && track.spanAt(this.position)
      && !track.isMissing(this.position));
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

  /** Which pictures play: the favourite, screens, staff, who speaks now or soon, who plays already, then the others. */
  choose() {
    const at = this.position;
    const here = this.tracks.filter((track) => !track.isSound && track.wanted && touches(track.spans, at - 2000, at + SOON));
    const speaking = new Set(this.tracks.filter((track) => touches(track.info.speech, at - 1000, at + 5000))
      .map((track) => track.info.person));
    /** @param {Track} track */
    const rank = (track) => {
      const { person, source, staff } = track.info;
      return Number(person !== this.favourite) * 32 + Number(source !== 'screen') * 16 + Number(!staff) * 8
        + Number(!track.spanAt(at)) * 4 + Number(!speaking.has(person)) * 2 + Number(!track.live);
    };
    const chosen = new Set(here.sort((one, other) => rank(one) - rank(other)).slice(0, MOST_PICTURES));
    for (const track of this.tracks) if (!track.isSound) track.live = chosen.has(track);
    this.order = [...chosen, ...this.tracks.filter((track) => track.isSound)];
  }

  /** Whose voice is heard at this position, by person. */
  speakers() {
    return new Set(this.tracks.filter((track) => touches(track.info.speech, this.position, this.position + 1))
      .map((track) => track.info.person));
  }

  /** Whether a piece here, or just before, does not match its seal and so is not shown; long enough to be read. */
  isDamagedHere() { return this.tracks.some((track) => touches(track.damaged, this.position - 4000, this.position + 1)); }

  /** Make elements for what comes soon, drop those of what is long over or stands still. */
  arrange() {
    for (const track of this.tracks) {
      const plays = track.wanted && track.live;
      const soon = plays && touches(track.spans, this.position - 2000, this.position + SOON);
      if (soon && !track.element && !this.over) {
        track.open();
        track.seek(this.position);
        this.dispatchEvent(new CustomEvent('opened', { detail: track }));
      } else if (track.element && (!plays || !touches(track.spans, this.position - 30000, this.position + 2 * SOON))) {
        track.close();
      }
    }
  }

  /** Fetch what is wanted next, for all tracks at once: first what a seek needs, then what comes. */
  async pump() {
    if (this.asking || this.over || performance.now() < this.notBefore) return;
    const hungry = (this.order ?? []).filter((track) => track.isHungry(this.position + AHEAD));
    const fresh = hungry.filter((track) => track.next === null);
    const asked = fresh.length ? fresh : hungry;
    if (!asked.length) return;
    const asking = new AbortController();
    this.asking = asking;
    const at = Math.floor(this.position);
    const generations = asked.map((track) => track.generation);
    const query = `of=${asked.map((track) => track.wish)}&at=${at}&until=${at + (fresh.length ? FIRST : AHEAD)}`;
    try {
      const answer = await fetch(`${this.review}/pieces?${query}`, {
        cache: 'no-store', headers: { Accept: 'application/json' }, signal: asking.signal,
      });
      if (!answer.ok) throw Object.assign(new Error(`answer ${answer.status}`), { status: answer.status });
      const bytes = await answer.arrayBuffer();
      if (asking.signal.aborted) return;
      this.taken(bytes, asked, generations);
    } catch (error) {
      if (!asking.signal.aborted) this.refused(/** @type {{status?: number}} */ (error).status);
    } finally {
      if (this.asking === asking) this.asking = null;
    }
    if (!asking.signal.aborted) void this.pump();
  }

  /** @param {ArrayBuffer} bytes @param {Track[]} asked @param {number[]} generations */
  taken(bytes, asked, generations) {
    const view = new DataView(bytes);
    for (let at = 0, n = 0; at < bytes.byteLength; n += 1) {
      const length = view.getUint32(at + 16);
      const track = asked[n];
      if (track && track.generation === generations[n]) {
        void track.take(view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12),
          new Uint8Array(bytes, at + HEAD, length), this.position);
      }
      at += HEAD + length;
    }
  }

  /** A view that is over ends; all else is tried again. @param {number | undefined} status */
  refused(status) {
    if (status === 401 || status === 404) {
      this.over = true;
      this.dispatchEvent(new Event('over'));
    } else this.notBefore = performance.now() + RETRY;
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
        if (start - this.position < 1000 && Math.abs(element.currentTime * 1000 - start) > 50) element.currentTime = start / 1000;
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
