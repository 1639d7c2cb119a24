// Depth maps at other sizes: enlarged with the interpolation that the service uses, much smaller as means.

/** @import { Kind } from "./kind.js" */

import { isKnown, METRES, nearestOf } from "./kind.js";

/** @typedef {{values: Float32Array, width: number, height: number}} Grid one value a pixel, row by row */
/** @typedef {Grid & {kind: Kind, nearest?: number}} DepthMap depth of a kind; see `nearestOf` */
/** @typedef {DepthMap & {enlargement: string | null}} NetworkMap how to enlarge it, by the name of an enlargement */

/** @typedef {[start: number, end: number]} Span without its end */

/** @typedef {(place: number, from: number, to: number) => number} PositionOf which of `from` samples a place is at */
/** @typedef {(fraction: number) => number[]} WeightsOf four weights at a fraction 0..1 of the way from sample 1 to 2 */
/** @typedef {{positionOf: PositionOf, weightsOf: WeightsOf}} Enlargement */

const SHARPNESS = -0.75; // the constant of OpenCV's and PyTorch's bicubic interpolation

/** @type {WeightsOf} */
function cubicWeights(fraction) {
  /** @param {number} x */
  const outer = (x) => ((SHARPNESS * x - 5 * SHARPNESS) * x + 8 * SHARPNESS) * x - 4 * SHARPNESS;
  /** @param {number} x */
  const inner = (x) => ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1;
  const weights = [outer(fraction + 1), inner(fraction), inner(1 - fraction)];
  return [...weights, 1 - weights[0] - weights[1] - weights[2]];
}

/**
 * For maps with hard edges, beside which a cubic would ring.
 * @type {WeightsOf}
 */
function linearWeights(fraction) {
  return [0, 1 - fraction, fraction, 0];
}

/**
 * The whole of the samples covers the whole of the places: half-pixel centres.
 * @type {PositionOf}
 */
const betweenEdges = (place, from, to) => ((place + 0.5) * from) / to - 0.5;

/**
 * The first and the last place are at the first and the last sample; in float32, as the service computes it.
 * @type {PositionOf}
 */
const betweenCorners = (place, from, to) => Math.fround(place * (to > 1 ? Math.fround((from - 1) / (to - 1)) : 0));

/** @type {Enlargement} */
const BICUBIC = { positionOf: betweenEdges, weightsOf: cubicWeights };
/** @type {Record<string, Enlargement>} */
const ENLARGEMENTS = {
  bicubic: BICUBIC,
  bilinear: { positionOf: betweenEdges, weightsOf: linearWeights },
  bilinear_corners: { positionOf: betweenCorners, weightsOf: linearWeights },
};

/**
 * For some of `to` places, the four of `from` samples that make it, clamped to the ends, and their weights.
 * @param {number} from
 * @param {number} to
 * @param {Enlargement} enlargement
 * @param {Span} places
 */
function taps(from, to, { positionOf, weightsOf }, [start, end] = [0, to]) {
  const indices = new Int32Array(4 * (end - start));
  const weights = new Float32Array(4 * (end - start));
  for (let place = start, at = 0; place < end; place++, at += 4) {
    const position = positionOf(place, from, to);
    const first = Math.floor(position);
    weights.set(weightsOf(position - first), at);
    for (let tap = 0; tap < 4; tap++) indices[at + tap] = Math.min(Math.max(first + tap - 1, 0), from - 1);
  }
  return { indices, weights };
}

/**
 * Rows of a map enlarged to `whole` columns, of which some are kept: (height, columns). Products are float32, as the
 * service's are.
 * @param {Grid} map
 * @param {number} whole
 * @param {Enlargement} enlargement
 * @param {Span} kept
 */
function stretched({ values, width, height }, whole, enlargement, kept) {
  const { indices, weights } = taps(width, whole, enlargement, kept);
  const columns = kept[1] - kept[0];
  const result = new Float32Array(height * columns);
  for (let y = 0, at = 0; y < height; y++) {
    const row = y * width;
    for (let tap = 0; tap < 4 * columns; tap += 4, at++) {
      result[at] =
        Math.fround(values[row + indices[tap]] * weights[tap]) +
        Math.fround(values[row + indices[tap + 1]] * weights[tap + 1]) +
        Math.fround(values[row + indices[tap + 2]] * weights[tap + 2]) +
        Math.fround(values[row + indices[tap + 3]] * weights[tap + 3]);
    }
  }
  return result;
}

/**
 * A map that can be read at another size, some rows at a time.
 *
 * Clamped at 0 because depth is never negative: `depthsvc.imaging.resize.upsample`.
 * @param {NetworkMap} map
 * @param {number} wide columns of the enlarged map
 * @param {number} height rows of the enlarged map
 * @param {Span} columns those that are wanted
 * @returns {(first: number, last: number) => Float32Array} rows first..last-1 as (last - first, columns)
 */
export function enlarged(map, wide, height, columns = [0, wide]) {
  const width = columns[1] - columns[0];
  if (map.width === width && map.width === wide && map.height === height) {
    return (first, last) => map.values.subarray(first * width, last * width);
  }
  const enlargement = ENLARGEMENTS[map.enlargement ?? ""] ?? BICUBIC;
  const rows = stretched(map, wide, enlargement, columns);
  const { indices, weights } = taps(map.height, height, enlargement);
  const nearest = nearestOf(map);
  return (first, last) => {
    const result = new Float32Array((last - first) * width);
    for (let y = first, at = 0; y < last; y++) {
      const [a, b, c, d] = indices.subarray(4 * y, 4 * y + 4).map((row) => row * width);
      const [wa, wb, wc, wd] = weights.subarray(4 * y, 4 * y + 4);
      for (let x = 0; x < width; x++, at++) {
        const before = Math.fround(rows[a + x] * wa) + Math.fround(rows[b + x] * wb);
        const value = before + Math.fround(rows[c + x] * wc) + Math.fround(rows[d + x] * wd);
        result[at] = nearest ? (isKnown(value) ? value : nearest) : Math.max(value, 0);
      }
    }
    return result;
  };
}

/**
 * A map at a smaller size: means of all values at each place, where single ones would make stairs of edges. Distances
 * that are unknown do not count.
 * @param {DepthMap} map
 * @param {number} width at most the map's
 * @param {number} height
 */
function means(map, width, height) {
  const [sums, counts] = [new Float64Array(width * height), new Uint32Array(width * height)];
  const columns = Uint32Array.from({ length: map.width }, (_, x) => Math.floor((x * width) / map.width));
  for (let y = 0, at = 0; y < map.height; y++) {
    const row = Math.floor((y * height) / map.height) * width;
    for (let x = 0; x < map.width; x++, at++) {
      if (map.kind === METRES && !isKnown(map.values[at])) continue;
      sums[row + columns[x]] += map.values[at];
      counts[row + columns[x]]++;
    }
  }
  return Float32Array.from(sums, (sum, at) => sum / Math.max(counts[at], 1));
}

/**
 * A whole map at another size.
 * @param {NetworkMap} map
 * @param {number} width
 * @param {number} height
 * @returns {DepthMap}
 */
export function upsample(map, width, height) {
  const isSmall = map.width >= 2 * width && map.height >= 2 * height;
  const values = isSmall ? means(map, width, height) : enlarged(map, width, height)(0, height);
  return { values, width, height, kind: map.kind, nearest: nearestOf(map) };
}

/**
 * A part of a whole map at another size.
 * @param {NetworkMap} map
 * @param {number} width of the enlarged whole
 * @param {number} height
 * @param {Span} columns
 * @param {Span} rows
 * @returns {Float32Array} (rows, columns)
 */
export const upsampledPart = (map, width, height, columns, rows) => enlarged(map, width, height, columns)(...rows);

/**
 * The size of a picture, reduced so that its longer side is at most `longest` pixels.
 * @param {number} width
 * @param {number} height
 * @param {number} longest
 * @returns {[width: number, height: number]}
 */
export function fitting(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}
