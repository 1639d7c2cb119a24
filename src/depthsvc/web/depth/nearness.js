// Relative nearness: inverse depth scaled to one photo, 0 at its farthest and 1 at its nearest point.

/** @import { DepthMap, Grid } from "./resize.js" */

import { inverseDepth } from "./kind.js";

/** @typedef {[low: number, high: number]} Range the least and the greatest value */
/** @typedef {Grid & {constant: boolean, range: Range}} Nearness values 0..1 in a range of inverse depth; `constant` if
 *     all are the same */

const ROUNDING = 1e-6; // a range below this fraction of the maximum is rounding: the map is constant

/**
 * The range of some values.
 * @param {Float32Array} values
 * @param {Range} range of earlier values, to be extended
 * @returns {Range}
 */
export function extent(values, [low, high] = [Infinity, -Infinity]) {
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * The function from inverse depth to nearness.
 * @param {Range} range of inverse depth
 * @returns {(value: number) => number} nearness 0..1; always 0 for a constant map
 */
export function scale([low, high]) {
  if (high - low <= ROUNDING * high) return () => 0;
  const factor = 1 / (high - low);
  return (value) => Math.min(Math.max((value - low) * factor, 0), 1);
}

/**
 * A map of nearness from one of depth.
 * @param {DepthMap} map
 * @returns {Nearness}
 */
export function normalized({ values, width, height, kind, nearest }) {
  const inverse = inverseDepth(values, kind, nearest);
  const range = extent(inverse);
  const nearness = scale(range);
  return { values: inverse.map(nearness), width, height, constant: nearness(range[1]) === 0, range };
}
