// Steps of depth, between a thing and what is behind it, made as sharp as the photo's.

/** @import { Grid } from "./resize.js" */

import { forNeighbours, isFront } from "./outlines.js";

/**
 * A step's two sides: nearness with each pixel on either, and for the pixels around a step what is in front of it and
 * behind it there (elsewhere both are the pixel's own) and on which it is: above 0 in front, below 0 behind, 1 far from
 * any step.
 * @typedef {{front: Float32Array, behind: Float32Array, side: Float32Array, width: number, height: number}} Sides
 */

const STEP = 0.16; // of the range of nearness: what a lower step opens is stretched more calmly than cut
const COLOURED = 0.7; // weight of the photo's colours where they differ most and depth says least
const NOISE = 300; // variance of colours, of 0..255 each, that says nothing
const SURE = 0.75; // how much of a step is one of its sides, whatever the colours
const SHORTEST = 0.3; // pixels in front of the shortest outline that is cut, in parts of the longer side
const FLAT = 0.9; // how much of it is a side as it is, and not the slope to the other

/**
 * For each pixel the most of a square around it, by rows and columns.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} radius
 * @param {(one: number, other: number) => number} most
 */
function spread(values, width, radius, most) {
  const height = values.length / width;
  const across = values.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [first, last] = [Math.max(x - radius, 0), Math.min(x + radius, width - 1)];
      for (let other = first; other <= last; other++) {
        across[y * width + x] = most(across[y * width + x], values[y * width + other]);
      }
    }
  }
  const result = across.slice();
  for (let y = 0; y < height; y++) {
    const [first, last] = [Math.max(y - radius, 0), Math.min(y + radius, height - 1)];
    for (let other = first; other <= last; other++) {
      for (let x = 0; x < width; x++) result[y * width + x] = most(result[y * width + x], across[other * width + x]);
    }
  }
  return result;
}

/**
 * The same without what is farther than all around it and narrow: noise of a network, and gaps between leaves.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} radius half of the widest gap that is closed
 */
const closed = (values, width, radius) => spread(spread(values, width, radius, Math.max), width, radius, Math.min);

/**
 * How much more the values change across a pixel than beside it, along one axis. A plane changes alike everywhere,
 * however steep it is, and an edge between two planes as one or the other; a step as neither: as
 * `depthsvc.imaging.mesh` has it.
 * @param {Float32Array} values
 * @param {number} at the pixel
 * @param {number} place of the pixel along the axis
 * @param {number} length of the axis
 * @param {number} stride from a pixel to the next along it
 * @param {number} half how far to either side a step is spread
 */
function excess(values, at, place, length, stride, half) {
  /** @param {number} by */
  const seen = (by) => values[at + stride * (Math.min(Math.max(place + by, 0), length - 1) - place)];
  const [low, high] = [seen(-half), seen(half)];
  const change = high - low;
  const [before, after] = [low - seen(-3 * half), seen(3 * half) - high];
  return Math.min(Math.abs(change - before), Math.abs(change - after));
}

/**
 * The pixels on steps, 1, and the others, 0.
 * @param {Grid} nearness 0..1
 * @param {number} half how many pixels to either side a step is spread
 */
export function stepsOf({ values, width, height }, half) {
  const found = new Float32Array(values.length);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const most = Math.max(excess(values, at, x, width, 1, half), excess(values, at, y, height, width, half));
      if (most > STEP) found[at] = 1;
    }
  }
  return found;
}

/** Mean and variance of colours that are added one after another. */
class Colours {
  #sum = [0, 0, 0];
  #squares = 0;
  count = 0;

  /**
   * @param {Uint8ClampedArray} pixels RGBA
   * @param {number} at
   */
  add(pixels, at) {
    for (let channel = 0; channel < 3; channel++) {
      const value = pixels[4 * at + channel];
      this.#sum[channel] += value;
      this.#squares += value * value;
    }
    this.count++;
  }

  get mean() {
    return this.#sum.map((value) => value / this.count);
  }

  get variance() {
    return this.#squares / this.count - this.mean.reduce((sum, value) => sum + value * value, 0);
  }
}

/**
 * How far a pixel's colour is that of the front, 0..1, and how much that says, 0..1.
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {number} at
 * @param {Colours} front
 * @param {Colours} behind
 */
function byColour(pixels, at, front, behind) {
  if (!front.count || !behind.count) return { fraction: 0, weight: 0 };
  const from = behind.mean;
  const axis = front.mean.map((value, channel) => value - from[channel]);
  const contrast = axis.reduce((sum, value) => sum + value * value, 0);
  const along = axis.reduce((sum, value, channel) => sum + value * (pixels[4 * at + channel] - from[channel]), 0);
  const weight = contrast / (contrast + front.variance + behind.variance + NOISE);
  return { fraction: Math.min(Math.max(along / Math.max(contrast, 1), 0), 1), weight: COLOURED * weight };
}

/**
 * Which side of its step each pixel is on, by its depth and by the colours around it.
 * @param {Grid} nearness 0..1
 * @param {Uint8ClampedArray} pixels RGBA of the same size
 * @param {number} half how many pixels to either side the network spreads a step
 * @returns {Sides}
 */
export function sidesOf(nearness, pixels, half) {
  const { width, height } = nearness;
  const values = closed(median(nearness), width, half + 1);
  const reach = 2 * half + 1;
  const around = spread(stepsOf({ values, width, height }, half), width, half + 1, Math.max);
  const front = spread(values, width, reach, Math.max);
  const behind = spread(values, width, reach, Math.min);
  const raw = new Float32Array(values.length).fill(1);
  for (let at = 0; at < values.length; at++) {
    const isAtStep = around[at] && front[at] - behind[at] > STEP;
    const own = isAtStep ? (values[at] - behind[at]) / (front[at] - behind[at]) : 1;
    if (isAtStep) raw[at] = own - 0.5 + coloured(own, at, { front, behind, values, width, height }, pixels, reach);
    if (own > FLAT) front[at] = values[at];
    if (own < 1 - FLAT) behind[at] = values[at];
    if (!isAtStep) behind[at] = values[at];
  }
  const sides = { front, behind, side: smoothed(smoothed(raw, width), width), width, height };
  levelShortSteps(sides, values, reach);
  return sides;
}

/**
 * Have there be no step where its outline is short.
 * @param {Sides} sides changed in place
 * @param {Float32Array} values of nearness
 * @param {number} reach
 */
function levelShortSteps({ front, behind, side, width, height }, values, reach) {
  const outlines = Float32Array.from(side, (value) => Number(isFront(value)));
  const long = largeParts(outlines, { width, height }, SHORTEST * Math.max(width, height));
  const beside = spread(long, width, reach, Math.max);
  for (let at = 0; at < side.length; at++) {
    if (beside[at] || side[at] === 1) continue;
    side[at] = 1;
    front[at] = behind[at] = values[at];
  }
}

/**
 * A mask without its small parts.
 * @param {Float32Array} mask 0 or 1
 * @param {{width: number, height: number}} size
 * @param {number} least pixels of a part that stays
 */
function largeParts(mask, size, least) {
  const rest = mask.slice();
  const large = new Float32Array(mask.length);
  for (let first = 0; first < mask.length; first++) {
    if (!rest[first]) continue;
    const part = [first];
    rest[first] = 0;
    for (let index = 0; index < part.length; index++) {
      forNeighbours(part[index], size, (other) => {
        if (rest[other]) part.push(other);
        rest[other] = 0;
      });
    }
    if (part.length >= least) for (const at of part) large[at] = 1;
  }
  return large;
}

/**
 * How much the colours around a pixel move it to the front, or behind; the more, the less its depth says.
 * @param {number} own where it is between what is behind, 0, and the front, 1
 * @param {number} at
 * @param {Grid & {front: Float32Array, behind: Float32Array}} depth
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {number} reach
 */
function coloured(own, at, { front, behind, values, width, height }, pixels, reach) {
  if (own > SURE || own < 1 - SURE) return 0;
  const [nearColours, farColours] = [new Colours(), new Colours()];
  const [x, y] = [at % width, Math.floor(at / width)];
  const [low, span] = [behind[at], front[at] - behind[at]];
  for (let row = Math.max(y - reach, 0); row <= Math.min(y + reach, height - 1); row++) {
    for (let column = Math.max(x - reach, 0); column <= Math.min(x + reach, width - 1); column++) {
      const other = row * width + column;
      const level = (values[other] - low) / span;
      if (level > SURE) nearColours.add(pixels, other);
      else if (level < 1 - SURE) farColours.add(pixels, other);
    }
  }
  const { fraction, weight } = byColour(pixels, at, nearColours, farColours);
  return weight * (fraction - 0.5) * (1 - Math.abs(2 * own - 1));
}

/**
 * The median of each pixel and its neighbours, which leaves out what is one pixel large.
 * @param {Grid} grid
 */
function median({ values, width, height }) {
  const result = values.slice();
  const seen = new Float32Array(9);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      for (let row = -1, next = 0; row <= 1; row++) {
        for (let column = -1; column <= 1; column++) seen[next++] = values[at + row * width + column];
      }
      result[at] = seen.sort()[4];
    }
  }
  return result;
}

/**
 * The mean of each pixel's neighbours that are at a step, as it is.
 * @param {Float32Array} side
 * @param {number} width
 */
function smoothed(side, width) {
  const height = side.length / width;
  return side.map((own, at) => {
    if (own === 1) return 1;
    const [x, y] = [at % width, Math.floor(at / width)];
    let [sum, count] = [2 * own, 2];
    for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
      for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
        const other = side[row * width + column];
        if (other === 1) continue;
        sum += other;
        count++;
      }
    }
    return sum / count;
  });
}
