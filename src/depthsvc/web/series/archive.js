// All heatmaps of a series in one file.

/** @import { Look } from "../views/heatmap_drawing.js" */
/** @import { Entry } from "./entry.js" */

import { heatmapPng } from "../files/depth_files.js";
import { zip } from "../files/zip.js";

/**
 * A ZIP of the heatmaps at the photos' full sizes, as the page shows them.
 * @param {Entry[]} entries
 * @param {Uint8Array} table 256 RGB triples
 * @param {Look} look
 */
export const heatmapsZip = (entries, table, look) => zip(heatmaps(entries, table, look));

/**
 * @param {Entry[]} entries
 * @param {Uint8Array} table
 * @param {Look} look
 */
async function* heatmaps(entries, table, look) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const { kept } of entries) {
    if (!kept) continue;
    const name = unused(`${kept.stem}-depth`, names);
    names.add(name.toLowerCase());
    yield { name: `${name}.png`, blob: await heatmapPng(await kept.depth(), kept.size, table, look) };
  }
}

/**
 * A name that is still free, also where capitals make no difference.
 * @param {string} name
 * @param {Set<string>} names in lower case
 */
function unused(name, names) {
  let found = name;
  for (let number = 2; names.has(found.toLowerCase()); number++) found = `${name}-${number}`;
  return found;
}
