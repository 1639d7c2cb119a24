// What was made of all photos of a series, in one file.

/** @import { Download } from "../files/downloads.js" */
/** @import { Kept } from "../photo/kept.js" */
/** @import { Entry } from "./entry.js" */

import { zip } from "../files/zip.js";

const ELSEWHERE = /[\\/:*?"<>|\p{Cc}]/gu; // means something else in a name on another system

/**
 * A ZIP of one file a photo, and how many photos are not in it because the browser has lost them. Rejects if that is all.
 * @param {Entry[]} entries of which those are left out that have no depth
 * @param {Download} download what the files are
 */
export async function archive(entries, download) {
  const done = entries.flatMap(({ kept }) => kept ?? []);
  /** @type {unknown[]} */
  const losses = [];
  const blob = await zip(files(done, download, losses));
  if (losses.length === done.length) throw losses[0];
  return { blob, lost: losses.length };
}

/**
 * @param {Kept[]} photos
 * @param {Download} download
 * @param {unknown[]} losses to which is added why a photo can't be read
 */
async function* files(photos, { suffix, make }, losses) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const kept of photos) {
    const picture = await kept.picture().catch((error) => void losses.push(error));
    if (!picture) continue;
    const name = unused(kept.parts.stem.replace(ELSEWHERE, "_"), suffix, names);
    names.add(name.toLowerCase());
    yield { name, blob: await make(picture).finally(() => picture.release()) };
  }
}

/**
 * A name that is still free, also where capitals make no difference.
 * @param {string} stem
 * @param {string} suffix with the extension
 * @param {Set<string>} names in lower case
 */
function unused(stem, suffix, names) {
  const dot = suffix.lastIndexOf(".");
  let name = `${stem}${suffix}`;
  for (let number = 2; names.has(name.toLowerCase()); number++) {
    name = `${stem}${suffix.slice(0, dot)}-${number}${suffix.slice(dot)}`;
  }
  return name;
}
