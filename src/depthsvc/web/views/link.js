// What is chosen in the views, as the fragment of a link. It says the same in every language.

/** @typedef {{view: string, colormap: string, invert: boolean, far: number, near: number}} Settings limits in percent */

/** @param {Settings} settings */
export function fragmentOf({ view, colormap, invert, far, near }) {
  const fragment = new URLSearchParams({ view, colormap });
  if (invert) fragment.set("invert", "1");
  if (far > 0) fragment.set("far", String(far));
  if (near < 100) fragment.set("near", String(near));
  return fragment.toString();
}

/**
 * What a fragment says, as far as it says anything that can be; null if it is not about the views.
 * @param {string} fragment with or without its #
 * @returns {Settings | null}
 */
export function settingsOf(fragment) {
  const said = new URLSearchParams(fragment.replace(/^#/, ""));
  const [view, colormap] = [said.get("view"), said.get("colormap")];
  if (!view || !colormap) return null;
  const far = percent(said.get("far"), 0);
  const near = percent(said.get("near"), 100);
  return { view, colormap, invert: said.get("invert") === "1", ...(far < near ? { far, near } : { far: 0, near: 100 }) };
}

/**
 * @param {string | null} text
 * @param {number} usual
 */
const percent = (text, usual) => (/^\d{1,3}$/.test(text ?? "") && Number(text) <= 100 ? Number(text) : usual);
