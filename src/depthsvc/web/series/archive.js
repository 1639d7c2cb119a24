// What was made of all photos of a series, in one file.

/** @import { Download } from "../files/downloads.js" */
/** @import { Entry } from "./entry.js" */

import { zip } from "../files/zip.js";

const ELSEWHERE = /[\\/:*?"<>|\p{Cc}]/gu; // means something else in a name on another system

/**
 * A ZIP of one file a photo.
 * @param {Entry[]} entries of which those are left out that have no depth
 * @param {Download} download what the files are
 */
export const archive = (entries, download) => zip(files(entries, download));

/**
 * @param {Entry[]} entries
 * @param {Download} download
 */
async function* files(entries, { suffix, make }) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const { kept } of entries) {
    if (!kept) continue;
    const name = unused(kept.parts.stem.replace(ELSEWHERE, "_"), suffix, names);
    names.add(name.toLowerCase());
    const picture = await kept.picture();
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
