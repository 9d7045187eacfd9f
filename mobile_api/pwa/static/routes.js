// @ts-check
/** Which address is which page. `open`: also for who is not signed in. */

import { agreement } from "./pages/agreement.js";
import { attendance } from "./pages/attendance.js";
import { calls } from "./pages/calls.js";
import { concern, concernSent } from "./pages/concern.js";
import { data } from "./pages/data.js";
import { home } from "./pages/home.js";
import { language } from "./pages/language.js";
import { lesson, lessons } from "./pages/lessons.js";
import { messages } from "./pages/messages.js";
import { more } from "./pages/more.js";
import { offline, wrong } from "./pages/no.js";
import { oneToOne, oneToOnes } from "./pages/one_to_ones.js";
import { permission, responsibility } from "./pages/permission.js";
import { check, permissions, permissionsOf, sent } from "./pages/permissions.js";
import { phones } from "./pages/phones.js";
import { signIn } from "./pages/sign_in.js";
import { add, code, notices, passkey, welcome } from "./pages/welcome.js";
import { watched } from "./pages/watched.js";

/** @typedef {(app: import("./app.js").App, params: Record<string, string>) => import("./app.js").Page | Promise<import("./app.js").Page>} View */

/** @type {[string, View, boolean?][]} */
const ROUTES = [
  ["/m/", home],
  ["/m/welcome", welcome, true], ["/m/welcome/code", code, true], ["/m/welcome/add", add, true], ["/m/welcome/passkey", passkey,
    true],
  ["/m/welcome/notices", notices], ["/m/sign-in", signIn, true], ["/m/agreement", agreement],
  ["/m/language", language, true], ["/m/offline", offline, true], ["/m/wrong", wrong, true],
  ["/m/permissions", permissions], ["/m/permissions/:child", permissionsOf], ["/m/permissions/:child/you", responsibility],
  ["/m/permissions/:child/check", check], ["/m/permissions/:child/sent", sent], ["/m/permissions/:child/:purpose", permission],
  ["/m/lessons/:child", lessons], ["/m/lessons/:child/:lesson", lesson], ["/m/attendance/:child", attendance],
    ["/m/data/:child", data],
  ["/m/watched/:child", watched], ["/m/calls/:child", calls], ["/m/one-to-ones/:child", oneToOnes], ["/m/one-to-ones/:child/:lesson", oneToOne],
  ["/m/messages", messages], ["/m/more", more], ["/m/concern", concern], ["/m/concern/sent", concernSent], ["/m/phones", phones],
];

/**
 * @param {string} path
 * @returns {{view: View, open: boolean, params: Record<string, string>}}
 */
export function found(path) {
  const parts = path.split("/");
  for (const [pattern, view, open] of ROUTES) {
    const wanted = pattern.split("/");
    if (wanted.length !== parts.length) continue;
    const fits = wanted.every((each, number) => each.startsWith(":") || each === parts[number]);
    if (!fits) continue;
    const params = wanted.flatMap((each, number) => (each.startsWith(":") ? [[each.slice(1),
      decodeURIComponent(parts[number] ?? "")]] : []));
    return { view, open: Boolean(open), params: Object.fromEntries(params) };
  }
  return { view: wrong, open: true, params: { kind: "missing" } };
}
