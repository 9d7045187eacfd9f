// @ts-check
/**
 * The line on which the school can ring this app while it is open: a WebSocket that opens itself again, proven like every request.
 * No DOM here. It is closed while nobody is signed in, and while the app is out of sight, unless a call is on.
 */

const WAITS = [1, 2, 5, 15, 30]; // seconds until it is tried again

/** @typedef {{type: string, call: string, sdp?: string, state?: string, why?: string}} Told */

export class Line {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #tries = 0;
  #wanted = false;

  /** @param {import("./protocol.js").Client} client @param {(told: Told) => void} hear @param {() => void} lost */
  constructor(client, hear, lost) {
    this.client = client;
    this.hear = hear;
    this.lost = lost;
  }

  /** Have a line, or none. @param {boolean} wanted */
  want(wanted) {
    this.#wanted = wanted;
    clearTimeout(this.#again);
    if (wanted && !this.#socket) this.#open();
    if (!wanted) this.#socket?.close();
  }

  /** @param {Record<string, string>} said */
  send(said) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(said));
  }

  #open() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/line`);
    this.#socket = socket;
    socket.addEventListener("message", async ({ data }) => {
      const told = JSON.parse(String(data));
      if (told.type === "open") this.#tries = 0;
      else if (told.type !== "nonce") this.hear(told);
      else {
        const shown = await this.client.shows("/line", told.nonce).catch(() => null);
        if (shown) this.send({ type: "hello", ...shown });
        else socket.close();
      }
    });
    socket.addEventListener("close", () => {
      this.#socket = null;
      this.lost();
      if (!this.#wanted) return;
      this.#again = setTimeout(() => this.want(this.#wanted), 1000 * (WAITS[this.#tries] ?? 60));
      this.#tries += 1;
    });
  }
}
