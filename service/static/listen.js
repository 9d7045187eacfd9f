/** “Listen”: reads a text of the page aloud, with a voice of this device; nothing is sent anywhere. Without such a
 * voice the button stays away. */

const speech = window.speechSynthesis;
const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-reads]"));

function offer() {
  const language = document.documentElement.lang.slice(0, 2) || "en";
  const voice = speech.getVoices().find((known) => known.localService && known.lang.startsWith(language));
  for (const button of buttons) {
    button.hidden = !voice;
    button.onclick = () => {
      speech.cancel();
      const words = new SpeechSynthesisUtterance(document.getElementById(button.dataset.reads ?? "")?.innerText ?? "");
      words.voice = voice ?? null;
      speech.speak(words);
    };
  }
}

if (speech) {
  offer();
  speech.addEventListener?.("voiceschanged", offer);
}
