// The review page: buttons, keys, the drawing and the words. What plays is in playback.js.
import { marks } from './marks.js';
import { Playback, touches } from './playback.js';
import { Stills } from './stills.js';

/** @typedef {import('./playback.js').Track} Track */
/** @typedef {import('./playback.js').TrackInfo} TrackInfo */

const STRIP = 10;
const DRIFT = 4000; // milliseconds after which the watermark moves on
const PLACES = [[0, 0], [3, -6], [-4, 4], [5, 7], [-2, -4], [4, 2], [-5, -7], [2, 5]]; // percent of the picture
const OVER = 'This view is over. Go back and give a reason again.';
const DAMAGED = 'This part does not match its seal. Do not rely on it. Tell the technician.';

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
const peek = find('.x-timeline__peek', HTMLElement);
const people = find('.x-review__people', HTMLFieldSetElement);
const here = find('.x-review__here', HTMLElement);
const sizes = find('.x-review__sizes', HTMLElement);
const strip = find('.x-review__strip', HTMLOListElement);
const smallButton = find('[data-do="small"]', HTMLButtonElement);
const playButton = find('[data-do="play"]', HTMLButtonElement);
const fullButton = find('[data-do="full"]', HTMLButtonElement);
const speed = find('[data-do="speed"]', HTMLSelectElement);

const review = root.dataset.review ?? '';
const format = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: root.dataset.zone,
});
const signed = () => `${watermark.dataset.who}, ${format.format(new Date())}`;
const stills = new Stills(review, signed);

async function start() {
  const answer = await fetch(`${review}/tracks`, { cache: 'no-store', headers: { Accept: 'application/json' } });
  if (!answer.ok) {
    message.textContent = OVER;
    return;
  }
  const lesson = await answer.json();
  const playback = new Playback(lesson, review);
  const zero = Date.parse(lesson.zero);
  /** @param {number} ms */
  const timeOf = (ms) => format.format(new Date(zero + ms));
  /** @param {number} ms */
  const pauseAt = (ms) => lesson.pauses.find((/** @type {number[]} */ [from = 0, to = 0]) => from <= ms && ms < to);
  const pictures = new Pictures(playback);
  let said = '';
  let until = Infinity; // the end of the clip that plays

  playback.addEventListener('over', () => {
    playback.pause();
    said = OVER;
  });
  playback.addEventListener('refused', () => { said = 'Press Play again to start the sound.'; });
  playback.addEventListener('opened', (event) => pictures.opened(/** @type {CustomEvent} */ (event).detail));
  playback.addEventListener('moved', () => {
    const at = playback.position;
    if (at >= until) {
      until = Infinity;
      playback.pause();
    }
    const speakers = playback.speakers();
    pictures.arrange(at, speakers);
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
    markDamage(playback);
    sayWhoIsHere(lesson.presence, at, playback.tracks.filter((track) => speakers.has(track.info.person)));
    let words = said;
    if (!words && playback.isDamagedHere()) words = DAMAGED;
    if (!words && playback.playing && playback.waiting) words = 'Loading…';
    if (message.textContent !== words) message.textContent = words;
  });

  /** @param {number} ms */
  const go = (ms) => {
    if (said !== OVER) said = '';
    until = Infinity;
    playback.seek(ms);
  };
  /** @param {number} direction */
  const changeSpeed = (direction) => {
    speed.selectedIndex = Math.max(0, Math.min(speed.options.length - 1, speed.selectedIndex + direction));
    playback.rate = Number(speed.value);
  };
  const isWhole = document.getElementById('notes') !== null; // under a grant there is nothing to write
  const writing = isWhole ? marks(root, {
    timeOf, at: () => playback.position, pause: () => playback.pause(), back: () => player.focus(),
  }) : {};
  /** @type {Record<string, () => void>} */
  const acts = {
    play: () => {
      if (said !== OVER) said = '';
      if (playback.playing) playback.pause(); else playback.play();
    },
    back: () => go(playback.position - 5000),
    on: () => go(playback.position + 5000),
    'minute-back': () => go(playback.position - 60000),
    'minute-on': () => go(playback.position + 60000),
    flag: () => {
      const flag = lesson.flags.find((/** @type {number} */ ms) => ms > playback.position + 500);
      if (flag === undefined) said = 'No more flags.';
      else go(flag);
      playback.tick();
    },
    small: () => {
      const on = smallButton.getAttribute('aria-pressed') !== 'true';
      smallButton.setAttribute('aria-pressed', String(on));
      smallButton.textContent = on ? 'Hide small pictures' : 'Show small pictures';
      playback.showSmall(on);
    },
    slower: () => changeSpeed(-1),
    faster: () => changeSpeed(1),
    full: () => { void (document.fullscreenElement ? document.exitFullscreen() : player.requestFullscreen()); },
    'after-pause': () => go(pauseAt(playback.position)?.[1] ?? playback.position),
    ...writing,
  };
  document.addEventListener('click', (event) => {
    const pressed = event.target instanceof Element ? event.target.closest('button') : null;
    if (pressed?.dataset.to) {
      playback.seek(Number(pressed.dataset.at));
      until = Number(pressed.dataset.to);
      playback.play();
      player.focus();
    } else if (pressed?.dataset.at) {
      go(Number(pressed.dataset.at));
      if (!strip.contains(pressed)) player.focus();
    } else if (pressed?.dataset.watch) {
      pictures.favour(pressed.dataset.watch);
      drawStrip(playback, timeOf);
    } else if (pressed?.dataset.do) acts[pressed.dataset.do]?.();
  });
  slider.addEventListener('input', () => go(Number(slider.value)));
  speed.addEventListener('change', () => { playback.rate = Number(speed.value); });
  player.addEventListener('keydown', (event) => {
    const own = event.target !== player && event.target instanceof Element && event.target.closest('button, input, select');
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ' ': 'play', ArrowLeft: event.shiftKey ? 'minute-back' : 'back', ArrowRight: event.shiftKey ? 'minute-on' : 'on',
      n: 'flag', '-': 'slower', '+': 'faster', '=': 'faster', f: 'full', a: 'note', s: 'clip-start', e: 'clip-end',
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    acts[act]?.();
  });
  document.addEventListener('contextmenu', (event) => {
    if (event.target instanceof HTMLMediaElement || event.target instanceof HTMLCanvasElement) event.preventDefault();
  });
  document.addEventListener('fullscreenchange', () => {
    fullButton.textContent = document.fullscreenElement ? 'Leave full screen' : 'Full screen';
  });

  smallButton.hidden = !playback.tracks.some((track) => track.info.beside.length);
  choosePeople(playback);
  lookAhead(playback, lesson.end_ms, timeOf, go);
  drawStrip(playback, timeOf);
  sign();
  setInterval(sign, 1000);
  followPreparation();
  const clip = root.dataset.clip?.split(' ').map(Number) ?? [];
  playback.seek(clip[0] ?? 0);
  until = clip[1] ?? Infinity;
  root.dataset.ready = 'true';
}

/** The tiles: a picture that plays, or the small one of about that moment where there is no room for another. */
class Pictures {
  /** @param {Playback} playback */
  constructor(playback) {
    this.playback = playback;
    /** @type {Map<Track, HTMLElement>} */
    this.tiles = new Map();
    for (const track of playback.tracks) if (!track.isSound) this.tiles.set(track, this.tile(track));
  }

  /** @param {Track} track */
  tile(track) {
    const tile = document.createElement('figure');
    tile.className = `x-review__tile x-review__tile--${track.info.source}`;
    tile.hidden = true;
    const caption = document.createElement('figcaption');
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.watch = track.info.person;
    button.setAttribute('aria-pressed', 'false');
    caption.append(button);
    tile.append(document.createElement('canvas'), caption);
    const near = [...this.tiles].find(([other]) => isOneSource(other, track));
    if (near) near[1].after(tile);
    else tiles.append(tile);
    return tile;
  }

  /** @param {Track} track */
  opened(track) {
    if (track.isSound) root.append(/** @type {HTMLElement} */ (track.element));
    else this.tiles.get(track)?.prepend(/** @type {HTMLElement} */ (track.element));
  }

  /** @param {number} at @param {Set<string>} speakers */
  arrange(at, speakers) {
    let shown = 0;
    for (const [track, tile] of this.tiles) {
      const canvas = tile.querySelector('canvas');
      const there = track.wanted && track.spanAt(at) && !track.isMissing(at);
      const still = Boolean(there && !track.live);
      const plays = Boolean(there && track.live && track.element);
      tile.hidden = !still && !plays;
      if (tile.hidden || !canvas) continue;
      shown += 1;
      const waits = plays && (track.element?.readyState ?? 0) < 2; // until its picture has come the small one stands in
      const moment = Stills.moment(track.info, at);
      canvas.hidden = !still && !(waits && moment !== undefined);
      if (!canvas.hidden && moment !== undefined) stills.show(canvas, track.info, moment);
      tile.classList.toggle('is-still', still);
      tile.classList.toggle('is-speaking', speakers.has(track.info.person));
      tile.classList.toggle('is-large', track.info.person === this.playback.favourite);
      nameTile(track, tile, at);
    }
    tiles.dataset.many = String(shown > 16 ? 3 : shown > 9 ? 2 : shown > 1 ? 1 : 0);
  }

  /** Watch this person large, or nobody. @param {string} person */
  favour(person) {
    this.playback.favourite = this.playback.favourite === person ? '' : person;
    for (const button of tiles.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.dataset.watch === this.playback.favourite));
    }
    this.playback.tick();
  }
}

/** @param {Track} one @param {Track} other */
function isOneSource(one, other) {
  return one.info.person === other.info.person && one.info.source === other.info.source;
}

/** What a picture is: whose, and whether others saw a larger one. @param {Track} track @param {HTMLElement} tile @param {number} at */
function nameTile(track, tile, at) {
  const button = tile.querySelector('button');
  const whose = track.info.source === 'screen' ? `${track.info.name}: shared screen` : track.info.name;
  const words = track.isBeside(at) ? `${whose}: small picture, as some saw it` : whose;
  if (button && button.textContent !== words) button.textContent = words;
}

/** Draw what does not match its seal over all rows, once it is known. @param {Playback} playback */
function markDamage(playback) {
  const known = playback.tracks.flatMap((track) => track.damaged);
  if (drawing.querySelectorAll('.x-timeline__damaged').length === known.length) return;
  for (const old of drawing.querySelectorAll('.x-timeline__damaged')) old.remove();
  for (const [from, to] of known) {
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    mark.setAttribute('class', 'x-timeline__damaged');
    mark.setAttribute('x', String((from * 1000) / Math.max(1, playback.end)));
    mark.setAttribute('width', String(Math.max(2, ((to - from) * 1000) / Math.max(1, playback.end))));
    mark.setAttribute('y', '0');
    mark.setAttribute('height', String(drawing.viewBox.baseVal.height));
    drawing.append(mark);
  }
}

/** @param {[string, ...[number, number][]][]} presence by name, then when @param {number} at @param {Track[]} speaking */
function sayWhoIsHere(presence, at, speaking) {
  const present = presence.filter(([, ...spans]) => touches(spans, at, at + 1));
  const names = present.map(([name]) => name);
  const voices = [...new Set(speaking.map((track) => track.info.name))];
  const words = `${names.length ? `Here now: ${names.join(', ')}` : 'Nobody is here now.'}`
    + (voices.length ? `. Speaking: ${voices.join(', ')}` : '');
  if (here.textContent !== words) here.textContent = words;
}

/** Boxes to show and hear only some. @param {Playback} playback */
function choosePeople(playback) {
  const names = new Map(playback.tracks.map((track) => [track.info.person, track.info.name]));
  const all = document.createElement('label');
  const allBox = document.createElement('input');
  allBox.type = 'checkbox';
  allBox.checked = true;
  all.append(allBox, ' Everybody');
  /** @type {Map<string, HTMLInputElement>} */
  const boxes = new Map();
  /** @param {string} person @param {boolean} on */
  const want = (person, on) => {
    for (const track of playback.tracks) if (track.info.person === person) track.wanted = on;
    allBox.checked = [...boxes.values()].every((box) => box.checked);
    playback.tick();
  };
  allBox.addEventListener('change', () => {
    for (const [person, box] of boxes) {
      box.checked = allBox.checked;
      for (const track of playback.tracks) if (track.info.person === person) track.wanted = box.checked;
    }
    playback.tick();
  });
  if (names.size > 2) people.append(all);
  for (const [person, name] of names) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = true;
    box.addEventListener('change', () => want(person, box.checked));
    boxes.set(person, box);
    label.append(box, ` ${name}`);
    people.append(label);
  }
}

/** The picture that says most of a lesson, or of the person who is watched. @param {Playback} playback @param {number} at
 * @param {string} person */
function best(playback, at, person) {
  const there = playback.tracks.filter((track) => !track.isSound && (!person || track.info.person === person)
    && Stills.moment(track.info, at) !== undefined);
  /** @param {Track} track */
  const rank = ({ info }) => Number(info.source === 'screen') * 2 + Number(info.staff);
  return there.sort((one, other) => rank(other) - rank(one))[0]?.info;
}

/** A small picture beside the pointer or the slider. @param {Playback} playback @param {number} end
 * @param {(ms: number) => string} timeOf @param {(ms: number) => void} go */
function lookAhead(playback, end, timeOf, go) {
  const canvas = find('.x-timeline__peek canvas', HTMLCanvasElement);
  const words = find('.x-timeline__peek span', HTMLElement);
  const labels = [...document.querySelectorAll('.x-timeline__labels li')].map((each) => /** @type {HTMLElement} */ (each));
  /** @param {MouseEvent} event */
  const pointed = (event) => {
    const box = drawing.getBoundingClientRect();
    return Math.max(0, Math.min(end, ((event.clientX - box.left) / box.width) * end));
  };
  /** @param {number} ms @param {string} person @param {string} name */
  const look = (ms, person, name) => {
    const info = best(playback, ms, person);
    peek.hidden = false;
    words.textContent = name ? `${timeOf(ms)} ${name}` : timeOf(ms);
    canvas.hidden = !info;
    if (info) stills.show(canvas, info, /** @type {number} */ (Stills.moment(info, ms)));
    const whole = /** @type {HTMLElement} */ (peek.parentElement).getBoundingClientRect();
    const box = (document.activeElement === slider ? slider : drawing).getBoundingClientRect();
    const wide = whole.width;
    const x = box.left - whole.left + (ms / Math.max(1, end)) * box.width;
    peek.style.left = `${Math.max(0, Math.min(wide - peek.offsetWidth, x - peek.offsetWidth / 2))}px`;
  };
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const row = labels[Math.floor(((event.clientY - box.top) / box.height) * labels.length)];
    look(pointed(event), row?.dataset.person ?? '', row?.textContent ?? '');
  });
  drawing.addEventListener('pointerleave', () => { peek.hidden = true; });
  drawing.addEventListener('click', (event) => go(pointed(event)));
  for (const kind of ['focus', 'input']) {
    slider.addEventListener(kind, () => look(Number(slider.value), playback.favourite, ''));
  }
  slider.addEventListener('blur', () => { peek.hidden = true; });
  slider.addEventListener('pointermove', (event) => look(pointed(event), playback.favourite, ''));
  slider.addEventListener('pointerleave', () => { if (document.activeElement !== slider) peek.hidden = true; });
}

/** Pictures across the lesson, each a button to its moment. @param {Playback} playback @param {(ms: number) => string} timeOf */
function drawStrip(playback, timeOf) {
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  for (let n = 0; n < STRIP; n += 1) {
    const ms = (playback.end * (n + 0.5)) / STRIP;
    const info = best(playback, ms, playback.favourite);
    const moment = info && Stills.moment(info, ms);
    if (!info || moment === undefined || buttons.some((each) => each.dataset.at === String(moment))) continue;
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.at = String(moment);
    const canvas = document.createElement('canvas');
    const words = document.createElement('span');
    words.textContent = timeOf(moment);
    button.append(canvas, words);
    button.setAttribute('aria-label', `Go to ${timeOf(moment)}, ${info.name}`);
    stills.show(canvas, info, moment);
    buttons.push(button);
  }
  strip.replaceChildren(...buttons.map((button) => {
    const item = document.createElement('li');
    item.append(button);
    return item;
  }));
  strip.hidden = !buttons.length;
}

/** The name of who is watching, and the time, over the whole picture; it moves also while nothing plays (policy: RE4). */
function sign() {
  const words = signed();
  if (!watermark.childElementCount) {
    for (let n = 0; n < 12; n += 1) watermark.append(document.createElement('span'));
  }
  for (const each of watermark.children) each.textContent = words;
  const [x = 0, y = 0] = PLACES[Math.floor(Date.now() / DRIFT) % PLACES.length] ?? [];
  watermark.style.translate = `${x}% ${y}%`;
}

/** How far the preparing is, until it is done. */
function followPreparation() {
  const words = document.querySelector('.x-review__preparation');
  if (!(words instanceof HTMLElement) || !words.textContent?.startsWith('Being prepared')) return;
  const timer = setInterval(async () => {
    const answer = await fetch(`${review}/preparation`, { cache: 'no-store', headers: { Accept: 'application/json' } });
    if (!answer.ok) {
      clearInterval(timer);
      return;
    }
    const said = (await answer.json()).words;
    if (said.startsWith('Being prepared')) {
      words.textContent = said;
      return;
    }
    clearInterval(timer);
    words.textContent = said || 'Speech and pictures are ready. ';
    const link = document.createElement('a');
    link.href = location.href;
    link.textContent = 'Show them';
    words.append(' ', link);
  }, 3000);
}

void start();
