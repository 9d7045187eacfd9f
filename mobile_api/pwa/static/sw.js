// @ts-check
/**
 * Keeps the app itself, so that it opens without a network, and shows notices. It never sees what the school says about a child:
 * requests to the API pass it by. `self.shell` (edition, files, words of the notices) is put before this text by the server.
 */

const worker = /** @type {any} */ (self);
const { edition, files, shell: page } = worker.shell;
const KEPT = `chaperone-${edition}`;

worker.addEventListener("install", (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(KEPT);
    await cache.addAll([page, ...files].map((path) => new Request(path, { cache: "no-cache" })));
    await worker.skipWaiting();
  })());
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("chaperone-") && name !== KEPT) await caches.delete(name);
    await worker.clients.claim();
    for (const client of await worker.clients.matchAll()) client.postMessage({ edition });
  })());
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin || !url.pathname.startsWith("/m/")) return;
  if (request.mode === "navigate") event.respondWith(opened(event));
  else if (url.pathname.startsWith(`/m/files/${edition}/`)) event.respondWith(kept(request));
});

/** The newest app where there is a network; the one that is kept where there is none. @param {any} event */
async function opened(event) {
  try {
    const answer = await fetch(event.request);
    if (answer.ok) event.waitUntil(keepPage(answer.clone()));
    return answer;
  } catch {
    return (await caches.match(page, { cacheName: KEPT })) ?? Response.error();
  }
}

/** The page says which languages the school approved, which may be more than when it was first kept. @param {Response} answer */
async function keepPage(answer) {
  const { headers } = answer;
  const text = await answer.text();
  if (text.includes(`data-edition="${edition}"`)) await (await caches.open(KEPT)).put(page, new Response(text, { headers }));
}

/** @param {Request} request */
const kept = async (request) => (await caches.match(request, { cacheName: KEPT, ignoreSearch: true })) ?? fetch(request);

worker.addEventListener("push", (/** @type {any} */ event) => {
  event.waitUntil((async () => {
    const text = event.data?.text() ?? "";
    const words = await noticeWords();
    await worker.registration.showNotification(words.app, {
      body: words[`notice.${text}`] ?? words["notice.N5"], tag: text, icon: "/m/icon-192.png", badge: "/m/icon-192.png",
        lang: words.lang,
    });
  })());
});

worker.addEventListener("notificationclick", (/** @type {any} */ event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = (await worker.clients.matchAll({ type: "window" }))[0];
    await (open ? open.focus() : worker.clients.openWindow("/m/"));
  })());
});

/** The sentences of notices in the reader's language, from what is kept. @returns {Promise<Record<string, string>>} */
async function noticeWords() {
  const language = await keptLanguage();
  const found = await caches.match(`/m/files/${edition}/words/${language}.json`, { cacheName: KEPT })
    ?? await caches.match(`/m/files/${edition}/words/en.json`, { cacheName: KEPT });
  const { words } = found ? await found.json() : { words: {} };
  return { ...words, lang: language };
}

/** @returns {Promise<string>} */
function keptLanguage() {
  return new Promise((resolve) => {
    const asked = indexedDB.open("chaperone");
    asked.onupgradeneeded = () => asked.transaction?.abort(); // the app makes its own store
    asked.onerror = () => resolve("en");
    asked.onsuccess = () => {
      const database = asked.result;
      if (!database.objectStoreNames.contains("kept")) return resolve("en");
      const read = database.transaction("kept").objectStore("kept").get("language");
      read.onsuccess = () => { database.close(); resolve(read.result ?? "en"); };
      read.onerror = () => { database.close(); resolve("en"); };
    };
  });
}
