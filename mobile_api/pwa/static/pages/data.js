// @ts-check
/** The data that lessons used this month, and how much they may use (RL11). */

import { h } from "../dom.js";
import { form, inset, meter, radios } from "../parts.js";

const NONE = "none";

/** @type {import("../routes.js").View} */
export async function data(app, { child: id = "" }) {
  const { t, words } = app;
  const child = await app.child(id);
  const path = `/children/${id}/data`;
  const use = await app.client.read(path);
  const month = words.month(use.month);
  const left = use.limit_mb === null ? t("data.used", { used: amount(app, use.used_mb), month })
    : t("data.left", { left: amount(app, Math.max(0, use.limit_mb - use.used_mb)), limit: amount(app, use.limit_mb), month });
  const limit = radios({
    name: "limit", label: t("data.limit"), hint: t("data.hint"), value: use.limit_mb === null ? NONE : String(use.limit_mb),
    choices: [...use.choices_mb.map((/** @type {number} */ mb) => /** @type {[string, string]} */ ([String(mb), amount(app,
      mb)])), [NONE, t("data.none")]],
  });
  return {
    title: t("data.title", { name: child.name }), back: "/m/more", tab: "more",
    parts: [
      use.limit_mb === null ? h("p", { class: "lead" }, left) : meter(left, use.limit_mb - use.used_mb, use.limit_mb),
      app.joining.saved === path ? inset(h("p", { role: "status" }, t("data.saved"))) : null,
      form(app, { fields: [limit], send: t("save"), act: async (values, wish) => {
        const limited = { limit_mb: values.limit === NONE ? null : Number(values.limit) };
        await app.client.write("PUT", path, limited, { wish, match: path });
        app.joining.saved = path;
        await app.show();
        delete app.joining.saved;
      } }),
    ],
  };
}

/** “320 MB”, “1 GB” @param {import("../app.js").App} app @param {number} mb */
const amount = (app, mb) => (mb >= 1000 ? app.t("data.gb", { amount: mb / 1000 }) : app.t("data.mb", { amount: mb }));
