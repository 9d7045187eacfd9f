// @ts-check
/** Notices of this phone (Web Push): whether there can be any, turning them on and off. */

/** Whether to ask for them. Not knowing is no reason to stop anybody on their way in. @param {import("./app.js").App} app */
export async function canNotify(app) {
  if (!("Notification" in globalThis) || !("PushManager" in globalThis) || Notification.permission === "denied") return false;
  return app.client.read("/push").then((found) => !found.is_on, () => false);
}

/** @param {import("./app.js").App} app */
export async function subscribe(app) {
  if ((await Notification.requestPermission()) !== "granted") return false;
  const { public_key: key } = await app.client.read("/push");
  const worker = await navigator.serviceWorker.ready;
  const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  await app.client.write("PUT", "/push", { endpoint, keys });
  return true;
}

/** @param {import("./app.js").App} app */
export async function unsubscribe(app) {
  await app.client.write("DELETE", "/push");
  const worker = await navigator.serviceWorker.getRegistration("/m/");
  await (await worker?.pushManager.getSubscription())?.unsubscribe();
}
