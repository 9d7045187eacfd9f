// @ts-check
/** Background blur (policy: RL3), on this device only: no picture leaves it for this. */

export const canBlur = () => false;

/**
 * @param {MediaStreamTrack} raw
 * @returns {Promise<{track: MediaStreamTrack, stop: () => void}>}
 */
export async function blurred(raw) {
  return { track: raw, stop: () => {} };
}
