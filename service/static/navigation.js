/** The menu of a role, folded away where the screen is narrow, as GOV.UK's service navigation does it. Without scripts it is open. */

const button = document.querySelector(".x-navigation__toggle");
const list = document.getElementById("navigation");
const wide = window.matchMedia("(min-width: 40.0625em)");

function arrange() {
  if (!(button instanceof HTMLButtonElement) || !list) return;
  const open = button.getAttribute("aria-expanded") === "true";
  button.hidden = wide.matches;
  list.hidden = !wide.matches && !open;
}

button?.addEventListener("click", () => {
  button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
  arrange();
});
wide.addEventListener("change", arrange);
arrange();
