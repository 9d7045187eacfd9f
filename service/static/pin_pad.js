// One picture at a time for the youngest: choosing one shows the next place. Without this all three are on the page.
const places = /** @type {HTMLFieldSetElement[]} */ ([...document.querySelectorAll(".x-pin-pad")]);
const form = /** @type {HTMLFormElement} */ (document.getElementById("pin-form"));

/** @param {number} position */
function show(position) {
  places.forEach((place, at) => { place.hidden = at !== position; });
}

function byPointer(event) {
  // Arrow keys move through radios and choose as they go, so only a press moves on.
  return event instanceof MouseEvent && event.detail > 0;
}

if (places.length) {
  show(0);
  const submit = form.querySelector("button[type=submit]");
  const next = document.createElement("button");
  next.type = "button";
  next.className = "govuk-button govuk-button--secondary";
  next.textContent = "Next picture";
  submit.before(next);
  let at = 0;
  const go = () => {
    at = Math.min(at + 1, places.length - 1);
    show(at);
    settle();
    places[at].querySelector("input").focus();
  };
  const settle = () => {
    const last = at === places.length - 1;
    next.hidden = last;
    submit.hidden = !last;
  };
  next.addEventListener("click", () => { if (places[at].querySelector("input:checked")) go(); });
  places.forEach((place, position) => place.addEventListener("click", (event) => {
    const chosen = event.target instanceof HTMLInputElement;
    if (chosen && byPointer(event) && position < places.length - 1) setTimeout(go, 250);
  }));
  settle();
}
