// The buttons that give something to the clipboard: the heatmap, and a link to the settings.

/** @import { Views } from "../views/views.js" */

import { element } from "../elements.js";
import { fragmentOf } from "../views/link.js";
import { say } from "../words/i18n.js";
import { heatmapPng } from "./depth_files.js";

const said = element("saving");

/**
 * Offer what the browser allows: on pages that are not from this machine or over HTTPS it allows nothing, and the link
 * is in the address bar alone.
 * @param {Views} views
 */
export function offerSharing(views) {
  const copy = element("copy");
  copy.hidden = !("ClipboardItem" in window && navigator.clipboard);
  copy.addEventListener("click", () => copyHeatmap(views));
  element("share").addEventListener("click", () => shareLink(views));
}

/** @param {Views} views */
async function copyHeatmap({ picture, heatmap: { table, look } }) {
  if (!picture) return;
  try {
    const blob = heatmapPng(picture.depth, picture, table, look);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    say(said, "copied");
  } catch {
    say(said, "copyFailed");
  }
}

/** @param {Views} views */
async function shareLink({ settings }) {
  history.replaceState(null, "", `#${fragmentOf(settings)}`);
  try {
    await navigator.clipboard.writeText(location.href);
    say(said, "linkCopied");
  } catch {
    say(said, "linkShown");
  }
}
