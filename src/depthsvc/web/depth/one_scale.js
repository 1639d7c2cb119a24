// Several models' maps of one photo in one scale of nearness, as `depthsvc compare` draws them.

/** @import { DepthMap } from "./resize.js" */

import { inverseDepth, METRES } from "./kind.js";
import { extent, scale } from "./nearness.js";

/** @param {Float32Array} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Values scaled and shifted to be as close to others as they can without changing their order.
 * @param {Float32Array} values
 * @param {Float32Array} others of the same photo
 */
function fitted(values, others) {
  const [middle, target] = [mean(values), mean(others)];
  let [covariance, variance] = [0, 0];
  values.forEach((value, at) => {
    covariance += (value - middle) * (others[at] - target);
    variance += (value - middle) ** 2;
  });
  const factor = variance > 0 ? Math.abs(covariance) / variance : 0;
  return values.map((value) => (value - middle) * factor + target);
}

/**
 * Maps of a photo, all of one size, as nearness: 0 is the farthest and 1 the nearest point of one of them, which is the
 * first in metres, else the first. Maps without a unit are fitted to it in inverse depth; metres stay what they are.
 * @param {DepthMap[]} maps
 * @returns {Float32Array[]} values 0..1
 */
export function inOneScale(maps) {
  const inverse = maps.map(({ values, kind, nearest }) => inverseDepth(values, kind, nearest));
  const first = Math.max(0, maps.findIndex(({ kind }) => kind === METRES));
  const nearness = scale(extent(inverse[first]));
  return inverse.map((values, at) => (maps[at].kind === METRES ? values : fitted(values, inverse[first])).map(nearness));
}
