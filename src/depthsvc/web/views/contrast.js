// Limits of the colours that suit what is seen.

/** @import { Region } from "./region.js" */

import { STEPS } from "./heatmap_drawing.js";

/** @typedef {[far: number, near: number]} Span limits in whole percent, the first below the second */

const OUTSIDE = 0.02; // the fraction of the pixels that may lie beyond each limit

/**
 * The limits between which almost all nearness of a part lies, so that the colours are spent on that.
 * @param {Uint16Array} steps from `steps`: (height, width)
 * @param {number} width
 * @param {Region} region
 * @returns {Span}
 */
export function fittingLimits(steps, width, { x, y, part }) {
  const height = steps.length / width;
  const [left, top] = [Math.round(x * width), Math.round(y * height)];
  const [right, bottom] = [Math.round((x + part) * width), Math.round((y + part) * height)];
  const counts = new Uint32Array(STEPS);
  for (let row = top; row < bottom; row++) {
    for (let at = row * width + left; at < row * width + right; at++) counts[steps[at]]++;
  }
  const most = OUTSIDE * (right - left) * (bottom - top);
  const far = Math.min(percentOf(firstBeyond(counts, most), Math.floor), 99);
  const near = percentOf(STEPS - 1 - firstBeyond(counts.toReversed(), most), Math.ceil);
  return [far, Math.max(near, far + 1)];
}

/**
 * The first step up to which there are more than some pixels.
 * @param {Uint32Array} counts of pixels by step
 * @param {number} most
 */
function firstBeyond(counts, most) {
  let step = 0;
  for (let sum = counts[0]; sum <= most && step < STEPS - 1; sum += counts[step]) step++;
  return step;
}

/**
 * @param {number} step
 * @param {(value: number) => number} round
 */
const percentOf = (step, round) => round((100 * step) / (STEPS - 1));
