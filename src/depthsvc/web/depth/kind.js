// What the values of a depth map are.

/**
 * Relative inverse depth: larger is nearer, scale and shift are unknown. Or metres: larger is farther, 0 is unknown.
 * @typedef {"inverse_depth" | "metres"} Kind
 */

/** @type {Kind} */
export const INVERSE_DEPTH = "inverse_depth";
/** @type {Kind} */
export const METRES = "metres";

const NEAREST_METRES = Math.fround(1e-3); // nearer is not a distance that anybody photographs: it counts as unknown

/**
 * Whether there is something at a distance, and not at an unknown one.
 * @param {number} metres
 */
export const isKnown = (metres) => metres > NEAREST_METRES && metres < Infinity;

/** @param {number} metres */
const inverse = (metres) => (isKnown(metres) ? 1 / metres : 0);

/**
 * Inverse depth, as `depthsvc.depth.DepthMap.inverse`: the values as they are, or 1 / metres, and 0 where they are
 * unknown.
 * @param {Float32Array} values
 * @param {Kind} kind of the values
 * @param {number} nearest distance of the network's map, which nothing is nearer than
 * @returns {Float32Array}
 */
export function inverseDepth(values, kind, nearest = 0) {
  return kind === METRES ? values.map((metres) => inverse(Math.max(metres, nearest))) : values;
}

/**
 * The distance of the nearest point of the network's map, or 0 if it does not know all distances: enlarging it makes no
 * point nearer or unknown, as in `depthsvc.depth.DepthMap.enlarged`.
 * @param {{values: Float32Array, kind?: Kind}} map
 */
export function nearestOf({ values, kind }) {
  if (kind !== METRES) return 0;
  const least = values.reduce((one, other) => Math.min(one, other), Infinity);
  return isKnown(least) ? least : 0;
}
