// @ts-check
/** This phone's key (P-256, which the browser never gives away) and the proofs that it signs (DPoP, RFC 9449). */

/** @param {ArrayBuffer | Uint8Array} buffer */
export function base64url(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {unknown} value */
const encoded = (value) => base64url(new TextEncoder().encode(JSON.stringify(value)));

/** @param {number} bytes */
export const random = (bytes) => base64url(crypto.getRandomValues(new Uint8Array(bytes)));

const CURVE = { name: "ECDSA", namedCurve: "P-256" };

/**
 * The phone's key, made at first use.
 * @param {import("./store.js").Store} store
 * @returns {Promise<CryptoKeyPair>}
 */
export async function phoneKey(store) {
  const kept = await store.get("key");
  if (kept) return kept;
  const made = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  await store.set("key", made);
  return made;
}

/**
 * @param {CryptoKeyPair} pair
 * @param {{method: string, url: string, nonce: string, token?: string}} of
 */
export async function proof(pair, { method, url, nonce, token }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const claims = {
    htm: method, htu: url, iat: Math.floor(Date.now() / 1000), jti: random(18), nonce,
    ...(token ? { ath: base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))) } : {}),
  };
  const said = `${encoded({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${encoded(claims)}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, new TextEncoder().encode(said));
  return `${said}.${base64url(signature)}`;
}
