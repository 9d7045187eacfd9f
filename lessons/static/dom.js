// @ts-check
/** The few things every part of the room page does with its document. Text goes in as text, never as markup. */

/**
 * The one element that must be there.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {HTMLElement}
 */
export function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`The page has no ${selector}`);
  return found;
}

/** @param {string} selector @param {ParentNode} [root] @returns {HTMLElement | null} */
export function maybe(selector, root = document) {
  const found = root.querySelector(selector);
  return found instanceof HTMLElement ? found : null;
}

/** @param {string} selector @param {ParentNode} [root] @returns {HTMLElement[]} */
export const all = (selector, root = document) => [...root.querySelectorAll(selector)].filter((node) => node instanceof HTMLElement);

/** A copy of what a template holds. @param {string} id @returns {HTMLElement} */
export function piece(id) {
  const template = document.getElementById(id);
  const inside = template instanceof HTMLTemplateElement ? template.content.firstElementChild : null;
  if (!(inside instanceof HTMLElement)) throw new Error(`The page has no template ${id}`);
  const copy = inside.cloneNode(true);
  if (!(copy instanceof HTMLElement)) throw new Error(`The template ${id} is not an element`);
  return copy;
}

/** Everything a template holds. @param {string} id */
export function pieces(id) {
  const template = document.getElementById(id);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`The page has no template ${id}`);
  return template.content.cloneNode(true);
}

/** Write only what changed, so that nothing is announced or selected anew. @param {HTMLElement} element @param {string} words */
export function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** @param {Element | null} element @param {boolean} shown */
export function show(element, shown) {
  if (element instanceof HTMLElement && element.hidden === shown) element.hidden = !shown;
}

/** @param {Element} element @param {string} name @param {string} value */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {ParentNode} root @param {string} name */
export function drawing(root, name) {
  const use = root.querySelector("use");
  if (use) mark(use, "href", `#i-${name}`);
}

/**
 * Make a container's children be these, in this order, keeping those that already are.
 * @param {HTMLElement} container
 * @param {HTMLElement[]} wanted
 * @returns {HTMLElement[]} those that were put in or moved
 */
export function arrangeChildren(container, wanted) {
  /** @type {HTMLElement[]} */
  const moved = [];
  for (const child of [...container.children]) if (child instanceof HTMLElement && !wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    if (container.children[index] === child) return;
    container.insertBefore(child, container.children[index] ?? null);
    moved.push(child);
  });
  return moved;
}

/** Say something to people who listen to the page. @param {"alert" | "status"} how @param {string} words */
export function say(how, words) {
  const voice = maybe(`[data-say="${how}"]`);
  if (!voice) return;
  voice.textContent = "";
  requestAnimationFrame(() => { voice.textContent = words; }); // the same words twice are still said twice
}

/**
 * Ask in a dialog; true when the person says yes. Escape is no.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<boolean>}
 */
export function ask(dialog) {
  return new Promise((resolve) => {
    /** @param {Event} event */
    const answered = (event) => {
      const button = event.target instanceof Element ? event.target.closest("[data-answer]") : null;
      if (button) dialog.close(button.getAttribute("data-answer") ?? "no");
    };
    dialog.addEventListener("click", answered);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("click", answered);
      resolve(dialog.returnValue === "yes");
    }, { once: true });
    dialog.returnValue = "no";
    dialog.showModal();
  });
}

/** @param {string} name @returns {HTMLDialogElement | null} */
export function dialogOf(name) {
  const dialog = document.querySelector(`[data-dialog="${name}"]`);
  return dialog instanceof HTMLDialogElement ? dialog : null;
}
