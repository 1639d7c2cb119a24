// A photo as two surfaces: what it shows, cut at its steps of depth, and what is hidden behind the steps.

/** @import { Grid } from "./resize.js" */
/** @import { Sides } from "./steps.js" */
/** @import { Mesh } from "./triangles.js" */

import { spreadKnown } from "./spreading.js";
import { sidesOf } from "./steps.js";
import { cutTriangles, OUTLINE, sheet, triangles } from "./triangles.js";

/**
 * `front` is what the photo shows, and `edges` are more triangles of its vertices, which have an outline in them. `outline` has a
 * byte a pixel: the front ends where it falls below `OUTLINE`. `back` is behind the front and has no holes; `fill` is
 * its colour, RGBA, where A says that it is not the photo's.
 * @typedef {{width: number, height: number, front: Mesh, edges: Uint32Array<ArrayBuffer>, back: Mesh,
 *     outline: Uint8Array<ArrayBuffer>, fill: Uint8Array<ArrayBuffer>}} Layers
 */

const APART = 0.02; // of the range of nearness: what is farther apart next to an outline is hidden
const FAR_APART = 0.06; // of that range: what is farther apart is not of one thing
const BEHIND = 0.004; // how much farther the back is where nothing is hidden
const SMOOTHINGS = 6;
const MIXED = 3; // more pixels than a step is wide are mixed with the colours in front of it
const FADING = 4; // pixels from there to where all colours are the photo's
const COLLAR = 12; // pixels of background next to an outline that say what is behind it
const COARSE = 6; // pixels from a vertex of the back to the next

const GAP = 0.18; // of the longer side: the widest gap that a turn opens, at a step of the whole range

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const BOTH_WAYS = [-1, 0, 1];
const NEIGHBOURS = BOTH_WAYS.flatMap((y) => BOTH_WAYS.map((x) => [x, y])).filter(([x, y]) => x || y);

/**
 * Call for each neighbour of a pixel.
 * @param {number} at
 * @param {{width: number, height: number}} size
 * @param {(other: number) => void} visit
 */
function forNeighbours(at, { width, height }, visit) {
  const [x, y] = [at % width, Math.floor(at / width)];
  for (const [right, down] of NEIGHBOURS) {
    if (x + right < 0 || x + right >= width || y + down < 0 || y + down >= height) continue;
    visit(at + right + down * width);
  }
}

/**
 * The pixels just behind the outlines of what is in front: for each its distance from them, 1 to `most`; 0 elsewhere.
 * @param {Sides} sides
 * @param {number} most
 */
function behindOutlines({ side, front, behind, width, height }, most) {
  const distance = new Uint8Array(side.length);
  for (let step = 1; step <= most; step++) {
    const known = distance.slice();
    for (let at = 0; at < side.length; at++) {
      if (known[at] || isFront(side[at])) continue;
      forNeighbours(at, { width, height }, (other) => {
        const isFirst = isFront(side[other]) && (side[at] <= 0 || 2 * front[at] < front[other] + behind[other]);
        const isNext = known[other] === step - 1 && Math.abs(behind[other] - behind[at]) < APART;
        if (step === 1 ? isFirst : isNext) distance[at] = step;
      });
    }
  }
  return distance;
}

/**
 * Whether a pixel is in front of a step.
 * @param {number} side
 */
const isFront = (side) => side > 0 && side < 1;

/**
 * The nearness of what the photo shows. In front of an outline it is smooth, and goes on for a pixel beyond it.
 * @param {Sides} sides
 * @param {Uint8Array} distance from `behindOutlines`
 */
function surface({ side, front, behind, width, height }, distance) {
  const isRim = side.map((value, at) => Number(isFront(value) || distance[at] === 1));
  const shown = side.map((value, at) => (value > 0 || isRim[at] ? front[at] : behind[at]));
  for (let times = 0; times < SMOOTHINGS; times++) {
    const before = shown.slice();
    for (let at = 0; at < side.length; at++) {
      if (!isRim[at]) continue;
      let [sum, count] = distance[at] === 1 ? [0, 0] : [before[at], 1];
      forNeighbours(at, { width, height }, (other) => {
        if (distance[other] || (!isFront(side[other]) && Math.abs(before[other] - front[at]) > FAR_APART)) return;
        sum += before[other];
        count++;
      });
      if (count) shown[at] = sum / count;
    }
  }
  return shown;
}

/**
 * What is behind the front: colours and nearness of the background next to its outlines, spread to all other pixels.
 * @param {Sides} sides
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {Uint8Array} distance from `behindOutlines`
 * @param {number} mixed how many pixels behind an outline may have colours that are mixed with the front's
 * @returns {Float32Array} R, G, B and nearness a pixel
 */
function background({ behind, width, height }, pixels, distance, mixed) {
  const values = Float32Array.from(pixels);
  const weights = new Float32Array(behind.length);
  for (let at = 0; at < behind.length; at++) {
    values[4 * at + 3] = behind[at];
    weights[at] = distance[at] > mixed ? 1 : 0;
  }
  spreadKnown({ values, weights, width, height });
  return values;
}

/**
 * How many pixels everything is from the next outline, about: steps to the side count 1, and to a corner 1.4.
 * @param {Sides} sides
 * @param {Uint8Array} distance from `behindOutlines`
 */
function fromOutlines({ width, height }, distance) {
  const away = Float32Array.from(distance, (value) => (value === 1 ? 0 : width + height));
  /**
   * @param {number} at
   * @param {number[][]} neighbours
   */
  const approach = (at, neighbours) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    for (const [right, down, length] of neighbours) {
      if (x + right < 0 || x + right >= width || y + down < 0 || y + down >= height) continue;
      away[at] = Math.min(away[at], away[at + right + down * width] + length);
    }
  };
  for (let at = 0; at < away.length; at++) approach(at, [[-1, 0, 1], [-1, -1, 1.4], [0, -1, 1], [1, -1, 1.4]]);
  for (let at = away.length - 1; at >= 0; at--) approach(at, [[1, 0, 1], [1, 1, 1.4], [0, 1, 1], [-1, 1, 1.4]]);
  return away;
}

/**
 * The surfaces of a photo.
 * @param {Grid} nearness 0..1
 * @param {Uint8ClampedArray} pixels RGBA of the same size
 * @param {number} half how many pixels to either side the network spreads a step
 * @returns {Layers}
 */
export function layers(nearness, pixels, half) {
  const sides = sidesOf(nearness, pixels, half);
  const { width, height, side } = sides;
  const mixed = half + MIXED;
  const distance = behindOutlines(sides, mixed + COLLAR);
  const shown = surface(sides, distance);
  const spread = background(sides, pixels, distance, mixed);
  const inward = fromOutlines(sides, distance);
  const widest = GAP * Math.max(width, height);
  const back = shown.map((value, at) => {
    const step = Math.max(value - spread[4 * at + 3], 0);
    const hiding = clamp((widest * step + 2 * mixed - inward[at]) / FADING, 0, 1);
    return value - hiding * step - BEHIND;
  });
  const fill = Uint8Array.from(spread);
  for (let at = 0; at < side.length; at++) {
    const isHidden = shown[at] - back[at] > APART;
    const fading = distance[at] ? clamp((mixed + FADING - distance[at]) / FADING, 0, 1) : 0;
    fill[4 * at + 3] = isHidden ? 255 : 255 * fading;
  }
  const outline = Uint8Array.from(side, (value, at) => (value > 0 || distance[at] === 1 ? byteOf(value) : 255));
  const isRim = distance.map((value) => Number(value === 1));
  const isFar = side.map((value, at) => Number(!isFront(value) && !isRim[at]));
  const all = sheet({ values: shown, width, height }, 1);
  const { whole, edges } = cutTriangles(all, { outline, isRim, isFar, width, height });
  const coarse = sheet({ values: back, width, height }, COARSE);
  return {
    width,
    height,
    front: { vertices: all.vertices, triangles: whole },
    edges,
    back: { vertices: coarse.vertices, triangles: triangles(coarse) },
    outline,
    fill,
  };
}

/** @param {number} side */
const byteOf = (side) => clamp(Math.round(OUTLINE + 254 * side), 0, 255);
