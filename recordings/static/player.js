// The review page: buttons, keys, the drawing and the words. What plays is in playback.js.
import { Playback } from './playback.js';

/** @typedef {import('./playback.js').Track} Track */

const MOST_PICTURES = 16; // more than this many at once stutter on a school's laptop

/** @template {Element} E @param {string} selector @param {new () => E} kind @returns {E} */
function find(selector, kind) {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page has no ${selector}`);
  return found;
}

const root = find('.x-review', HTMLElement);
const player = find('.x-review__player', HTMLElement);
const tiles = find('.x-review__tiles', HTMLElement);
const gap = find('.x-review__gap', HTMLElement);
const message = find('.x-review__message', HTMLElement);
const watermark = find('.x-review__watermark', HTMLElement);
const clock = find('.x-review__clock', HTMLOutputElement);
const slider = find('.x-review__slider', HTMLInputElement);
const drawing = find('.x-timeline__drawing', SVGSVGElement);
const cursor = find('.x-timeline__now', SVGLineElement);
const people = find('.x-review__people', HTMLFieldSetElement);
const here = find('.x-review__here', HTMLElement);
const sizes = find('.x-review__sizes', HTMLElement);
const smallButton = find('[data-do="small"]', HTMLButtonElement);
const playButton = find('[data-do="play"]', HTMLButtonElement);

const review = root.dataset.review ?? '';
const format = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: root.dataset.zone,
});

async function start() {
  const answer = await fetch(`${review}/tracks`, { cache: 'no-store', headers: { Accept: 'application/json' } });
  if (!answer.ok) {
    message.textContent = 'This view is over. Go back and give a reason again.';
    return;
  }
  const lesson = await answer.json();
  const playback = new Playback(lesson, review);
  const zero = Date.parse(lesson.zero);

  /** @param {number} ms */
  const timeOf = (ms) => format.format(new Date(zero + ms));
  /** @param {number} ms */
  const pauseAt = (ms) => lesson.pauses.find((/** @type {number[]} */ [from = 0, to = 0]) => from <= ms && ms < to);

  let damaged = false;
  playback.addEventListener('damaged', () => { damaged = true; });
  playback.addEventListener('over', () => {
    playback.pause();
    message.textContent = 'This view is over. Go back and give a reason again.';
  });
  playback.addEventListener('opened', (event) => {
    const track = /** @type {CustomEvent} */ (event).detail;
    if (track.isSound) {
      root.append(track.element);
      return;
    }
    const tile = document.createElement('figure');
    tile.className = `x-review__tile x-review__tile--${track.info.source}`;
    const caption = document.createElement('figcaption');
    tile.append(track.element, caption);
    const other = playback.tracks.find((each) => each !== track && each.element?.isConnected && isOneSource(each, track));
    const near = other?.element?.closest('figure');
    if (!near) tiles.append(tile);
    else if (track.info.beside.length) near.after(tile);
    else near.before(tile);
  });
  playback.addEventListener('moved', () => {
    const at = playback.position;
    for (const tile of tiles.querySelectorAll('figure')) {
      const picture = tile.querySelector('video');
      if (picture) tile.hidden = picture.hidden; else tile.remove();
    }
    for (const track of playback.tracks) nameTile(track, at);
    const small = new Set(playback.tracks.filter((track) => track.isBeside(at)).map((track) => track.info.name));
    sizes.textContent = small.size
      ? `Some people were shown a smaller picture here: ${[...small].join(', ')}.` : '';
    gap.hidden = !pauseAt(at);
    playButton.textContent = playback.playing ? 'Pause' : 'Play';
    playButton.setAttribute('aria-pressed', String(playback.playing));
    clock.value = timeOf(at);
    root.dataset.at = String(Math.round(at));
    root.dataset.playing = String(playback.playing && !playback.waiting);
    if (document.activeElement !== slider) slider.value = String(at);
    slider.setAttribute('aria-valuetext', timeOf(at));
    const x = String((at * 1000) / Math.max(1, lesson.end_ms));
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    const names = lesson.presence
      .filter((/** @type {[string, ...number[][]]} */ [, ...spans]) => spans.some(([from = 0, to = 0]) => from <= at && at < to))
      .map((/** @type {[string]} */ [name]) => name);
    here.textContent = names.length ? `Here now: ${names.join(', ')}` : 'Nobody is here now.';
    if (damaged) message.textContent = 'This part does not match its seal. Do not rely on it. Tell the technician.';
    else if (playback.playing && playback.waiting) message.textContent = 'Loading…';
    else if (message.textContent === 'Loading…') message.textContent = '';
  });
  playback.addEventListener('refused', () => { message.textContent = 'Press Play again to start the sound.'; });

  const nextFlag = () => {
    const flag = lesson.flags.find((/** @type {number} */ ms) => ms > playback.position + 500);
    if (flag === undefined) message.textContent = 'No more flags.';
    else playback.seek(flag);
  };
  /** @type {Record<string, () => void>} */
  const acts = {
    play: () => (playback.playing ? playback.pause() : playback.play()),
    back: () => playback.seek(playback.position - 5000),
    on: () => playback.seek(playback.position + 5000),
    flag: nextFlag,
    small: () => {
      const on = smallButton.getAttribute('aria-pressed') !== 'true';
      smallButton.setAttribute('aria-pressed', String(on));
      smallButton.textContent = on ? 'Hide small pictures' : 'Show small pictures';
      playback.showSmall(on);
    },
    'after-pause': () => playback.seek(pauseAt(playback.position)?.[1] ?? playback.position),
  };
  document.addEventListener('click', (event) => {
    const pressed = event.target instanceof Element ? event.target.closest('button') : null;
    if (pressed?.dataset.at) {
      playback.seek(Number(pressed.dataset.at));
      player.focus();
    } else if (pressed?.dataset.do) acts[pressed.dataset.do]?.();
  });
  drawing.addEventListener('click', (event) => {
    const box = drawing.getBoundingClientRect();
    playback.seek(((event.clientX - box.left) / box.width) * lesson.end_ms);
  });
  slider.addEventListener('input', () => playback.seek(Number(slider.value)));
  find('[data-do="speed"]', HTMLSelectElement).addEventListener('change', (event) => {
    playback.rate = Number(/** @type {HTMLSelectElement} */ (event.target).value);
  });
  player.addEventListener('keydown', (event) => {
    const own = event.target !== player && event.target instanceof Element && event.target.closest('button, input, select');
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ' ': 'play', ArrowLeft: 'back', ArrowRight: 'on', n: 'flag', N: 'flag' }[event.key];
    if (!act) return;
    event.preventDefault();
    acts[act]?.();
  });
  document.addEventListener('contextmenu', (event) => {
    if (event.target instanceof HTMLMediaElement) event.preventDefault();
  });

  smallButton.hidden = !playback.tracks.some((track) => track.info.beside.length);
  choosePeople(playback);
  sign();
  setInterval(sign, 1000);
  playback.seek(0);
  root.dataset.ready = 'true';
}

/** @param {Track} one @param {Track} other */
function isOneSource(one, other) {
  return one.info.person === other.info.person && one.info.source === other.info.source;
}

/** What a picture is: whose, and whether others saw a larger one. @param {Track} track @param {number} at */
function nameTile(track, at) {
  const caption = track.isSound ? null : track.element?.parentElement?.querySelector('figcaption');
  if (!caption) return;
  const whose = track.info.source === 'screen' ? `${track.info.name}: shared screen` : track.info.name;
  const words = track.isBeside(at) ? `${whose}: small picture, as some saw it` : whose;
  if (caption.textContent !== words) caption.textContent = words;
}

/** Boxes to show and hear only some. @param {Playback} playback */
function choosePeople(playback) {
  const names = new Map(playback.tracks.map((track) => [track.info.person, track.info.name]));
  const pictures = new Set();
  for (const track of playback.tracks) {
    if (track.isSound) continue;
    pictures.add(`${track.info.person} ${track.info.source}`);
    track.wanted = pictures.size <= MOST_PICTURES;
  }
  for (const [person, name] of names) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = playback.tracks.some((track) => track.info.person === person && track.wanted);
    box.addEventListener('change', () => {
      for (const track of playback.tracks) if (track.info.person === person) track.wanted = box.checked;
      playback.tick();
    });
    label.append(box, ` ${name}`);
    people.append(label);
  }
}

/** The name of who is watching, and the time, over the whole picture (policy: RE4). */
function sign() {
  const words = `${watermark.dataset.who}, ${format.format(new Date())}`;
  if (!watermark.childElementCount) {
    for (let n = 0; n < 12; n += 1) watermark.append(document.createElement('span'));
  }
  for (const each of watermark.children) each.textContent = words;
}

void start();
