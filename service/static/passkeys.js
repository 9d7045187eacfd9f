// @ts-check
/** Passkeys in the browser: options from the server in, the authenticator's answer out, both as JSON (WebAuthn level 3, 5.1). */

export const supported = typeof PublicKeyCredential === "function" && Boolean(navigator.credentials);

/** @param {string} text base64url */
function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

/** @param {ArrayBuffer} buffer */
function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {{id: string}[] | undefined} list */
const descriptors = (list) => list?.map((each) => ({ ...each, id: bytes(each.id) }));

/**
 * Ask an authenticator to prove who is here.
 * @param {any} options `publicKey` as the server sent it
 */
export async function prove(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: descriptors(options.allowCredentials) };
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
  const response = /** @type {AuthenticatorAssertionResponse} */ (made.response);
  return {
    id: made.id, rawId: text(made.rawId), type: made.type, authenticatorAttachment: made.authenticatorAttachment,
    clientExtensionResults: made.getClientExtensionResults(),
    response: {
      clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData),
      signature: text(response.signature), userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
}

/**
 * Ask an authenticator for a new passkey.
 * @param {any} options `publicKey` as the server sent it
 */
export async function create(options) {
  const publicKey = {
    ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: descriptors(options.excludeCredentials),
  };
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  return {
    id: made.id, rawId: text(made.rawId), type: made.type, authenticatorAttachment: made.authenticatorAttachment,
    clientExtensionResults: made.getClientExtensionResults(),
    response: {
      clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  };
}

/**
 * A challenge for one purpose.
 * @param {string} path
 * @param {Record<string, string>} given
 */
export async function challenge(path, given = {}) {
  const answer = await fetch(path, {
    method: "POST", body: new URLSearchParams(given), headers: { accept: "application/json" }, redirect: "error",
  });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/**
 * A field of a form, which is there.
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function field(form, name) {
  const found = form.elements.namedItem(name);
  if (!(found instanceof HTMLInputElement)) throw new Error(`no field ${name}`);
  return found;
}
