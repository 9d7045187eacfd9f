// Notes and clips: forms that are sent while the lesson stays where it is. Without this script they are ordinary forms.

/** @typedef {{timeOf: (ms: number) => string, at: () => number, pause: () => void, back: () => void}} Player */

/** @param {HTMLElement} root @param {Player} player @returns {Record<string, () => void>} what buttons and keys do */
export function marks(root, player) {
  const note = form('note');
  const clip = form('clip');
  send(note, (row) => {
    const item = document.createElement('li');
    item.append(link(`Go to ${row.clock}`, { at: row.at_ms }), ` ${row.who}: ${row.words}`, row.concern ? ` (concern ${row.concern})` : '');
    add(root.ownerDocument, 'notes', item);
    player.back();
  });
  send(clip, (row) => {
    const item = document.createElement('li');
    item.append(`Clip ${row.number}: `, link(`Play ${row.clock} to ${row.until}`, { at: row.from_ms, to: row.to_ms }),
      ` ${row.who}: ${row.words}`, row.concern ? ` (concern ${row.concern})` : '');
    add(root.ownerDocument, 'clips', item);
    player.back();
  });
  return {
    note: () => {
      player.pause();
      field(note, 'at').value = player.timeOf(player.at());
      open(note);
      field(note, 'text').focus();
    },
    'clip-start': () => {
      field(clip, 'from').value = player.timeOf(player.at());
      open(clip);
      said(clip, `The clip starts at ${field(clip, 'from').value}.`);
    },
    'clip-end': () => {
      player.pause();
      field(clip, 'to').value = player.timeOf(player.at());
      open(clip);
      field(clip, 'reason').focus();
    },
  };
}

/** @param {string} name */
function form(name) {
  const found = document.querySelector(`form[data-mark="${name}"]`);
  if (!(found instanceof HTMLFormElement)) throw new Error(`the page has no form for a ${name}`);
  return found;
}

/** @param {HTMLFormElement} of @param {string} name */
function field(of, name) {
  const found = of.elements.namedItem(name);
  if (!(found instanceof HTMLInputElement || found instanceof HTMLTextAreaElement)) throw new Error(`no field ${name}`);
  return found;
}

/** @param {HTMLFormElement} of */
function open(of) {
  const details = of.closest('details');
  if (details) details.open = true;
}

/** @param {HTMLFormElement} of @param {string} words */
function said(of, words) {
  const status = of.querySelector('[role="status"]');
  if (status) status.textContent = words;
}

/** @param {string} words @param {Record<string, number>} data */
function link(words, data) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'x-review__link';
  button.textContent = words;
  for (const [name, value] of Object.entries(data)) button.dataset[name] = String(value);
  return button;
}

/** @param {Document} page @param {string} name @param {HTMLElement} item */
function add(page, name, item) {
  const list = page.querySelector(`#${name} ol`);
  list?.append(item);
  page.querySelector(`#${name} [data-none]`)?.remove();
}

/** @param {HTMLFormElement} of @param {(row: any) => void} written */
function send(of, written) {
  of.addEventListener('submit', async (event) => {
    event.preventDefault();
    for (const old of of.querySelectorAll('.govuk-error-message')) old.remove();
    for (const input of of.querySelectorAll('[aria-describedby]')) input.removeAttribute('aria-describedby');
    const answer = await fetch(of.action, {
      method: 'POST', headers: { Accept: 'application/json' }, body: new URLSearchParams([...new FormData(of)].map(([name, value]) => [name, String(value)])),
    });
    const body = await answer.json().catch(() => ({}));
    if (answer.status === 201) {
      of.reset();
      said(of, 'Saved.');
      written(body);
    } else if (answer.status === 422 && body.errors) refuse(of, body.errors);
    else said(of, body.detail ?? 'Something went wrong. Nothing has been saved. Try again.');
  });
}

/** @param {HTMLFormElement} of @param {Record<string, string>} errors */
function refuse(of, errors) {
  said(of, '');
  let first;
  for (const [name, words] of Object.entries(errors)) {
    const input = field(of, name);
    const error = document.createElement('p');
    error.className = 'govuk-error-message';
    error.id = `${input.id}-error`;
    error.textContent = words;
    input.before(error);
    input.setAttribute('aria-describedby', error.id);
    first ??= input;
  }
  first?.focus();
}
