// @ts-check
/** “I'm worried” on a page that is not a lesson's. */

import { find, show } from "./dom.js";
import { Worried } from "./worried.js";

const button = find('[data-do="worried"]');
const worried = new Worried({ address: "/worried", lesson: "", closed: () => button.focus() });
button.onclick = () => (worried.isOpen ? worried.close() : worried.open());
show(button, true);
