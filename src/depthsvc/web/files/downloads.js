// The buttons that make and save a file.

/** @import { Picture } from "../photo/picture.js" */
/** @import { Views } from "../views/views.js" */

import { element, find, findAll } from "../elements.js";
import { inSpace, Problem, refocused } from "../service/api.js";
import { patiently } from "../service/retry.js";
import { explain, NO_PHOTO } from "../service/status.js";
import { hush, say } from "../words/i18n.js";
import { depthNpy, depthPng16, heatmapPng, pointsPly } from "./depth_files.js";
import { sideBySide } from "./side_by_side.js";
import { recordedFormat, recordedType } from "./video.js";

/** @typedef {{suffix: string, make: (picture: Picture) => Promise<Blob>}} Download */

const saving = element("saving");

/**
 * What each button makes, by its `data-save`.
 * @param {Views} views
 * @returns {Record<string, Download>}
 */
export const downloadsOf = ({ heatmap, space, refocus }) => ({
  heatmap: { suffix: "-depth.png", make: (picture) => heatmapPng(picture.depth, picture, heatmap.table, heatmap.look) },
  pair: {
    suffix: "-side-by-side.jpg",
    make: (picture) => sideBySide(picture, heatmap.table, heatmap.look),
  },
  png16: { suffix: "-depth16.png", make: (picture) => depthPng16(picture.depth, picture) },
  npy: { suffix: "-depth.npy", make: (picture) => depthNpy(picture.depth, picture) },
  ply: { suffix: "-points.ply", make: (picture) => pointsPly(picture.depth, picture) },
  sway: { suffix: `-3d.${recordedFormat().toLowerCase()}`, make: () => space.video() },
  mesh: { suffix: ".glb", make: ({ photo, depth }) => inSpace("mesh", photo, depth.asked) },
  normals: { suffix: "-normals.png", make: ({ photo, depth }) => inSpace("normals", photo, depth.asked) },
  stereo: { suffix: "-stereo.jpg", make: ({ photo, depth }) => inSpace("stereo", photo, depth.asked) },
  refocused: {
    suffix: "-refocused.jpg",
    make: ({ photo, depth }) => refocused(photo, depth.asked, refocus.wanted),
  },
});

/**
 * Let the buttons save what the views show.
 * @param {Views} views
 */
export function offerDownloads(views) {
  const downloads = downloadsOf(views);
  say(element("save-sway-kind"), "saveSwayKind", { format: recordedFormat() });
  for (const button of findAll("[data-save]", HTMLButtonElement)) {
    button.addEventListener("click", () => {
      if (views.picture) download(button, downloads[button.dataset.save ?? ""], views.picture);
    });
  }
}

/**
 * Offer what the open view has, of which nothing has been saved yet.
 * @param {string} view
 */
export function renewDownloads(view) {
  find("[data-save=refocused]", HTMLElement).hidden = view !== "refocus";
  find("[data-save=sway]", HTMLElement).hidden = view !== "space" || !recordedType();
  hush(saving);
}

/**
 * @param {HTMLButtonElement} button
 * @param {Download} download
 * @param {Picture} picture
 */
function download(button, { suffix, make }, picture) {
  const { signal } = new AbortController();
  const onWait = (/** @type {number} */ seconds) => say(saving, "busy", { seconds });
  return saveWith(button, saving, `${picture.stem}${suffix}`, () => patiently(() => make(picture), signal, onWait));
}

/**
 * Make a file and save it, and say so, or why not.
 * @param {HTMLButtonElement} button that is out of use meanwhile
 * @param {HTMLElement} words
 * @param {string} name of the file
 * @param {() => Promise<Blob>} make
 * @returns {Promise<boolean>} whether it is saved
 */
export async function saveWith(button, words, name, make) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  say(words, "saving", { name });
  try {
    save(await make(), name);
    say(words, "saved", { name });
    return true;
  } catch (error) {
    if (error instanceof Problem) explain(words, error, NO_PHOTO);
    else {
      console.error(error);
      say(words, "saveFailed");
    }
    return false;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

/**
 * Have the browser save a file.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
