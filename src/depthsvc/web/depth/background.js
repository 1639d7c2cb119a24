// What is behind the front: depth and colours of the far side of its outlines, continued.

/** @import { Behind } from "./outlines.js" */
/** @import { Sides } from "./steps.js" */

import { forNeighbours, fromOutlines } from "./outlines.js";
import { fillWithPatches } from "./patches.js";
import { spreadKnown } from "./spreading.js";

/**
 * A photo cut at its steps. `shown`: the nearness of the front; `pixels`: RGBA; `outlines`: what is behind them; `half`:
 * how many pixels to either side the network spreads a step.
 * @typedef {{sides: Sides, shown: Float32Array, pixels: Uint8ClampedArray, outlines: Behind, half: number}} Cut
 */

const MIXED = 3; // more pixels than a step is wide are mixed with the colours in front of it
const FADING = 4; // pixels from there to where all colours are the photo's
const COLLAR = 12; // pixels of background next to an outline that say how far away it is
const COPIED = 60; // pixels of background next to an outline that may be copied

const APART = 0.02; // of the range of nearness: what is farther apart next to an outline is hidden
const ALIKE = 0.2; // of that range: what is as far away belongs to the same background
const HIGH = 0.35; // of that range: a lower step says less of what is behind it
const LEAST = 0.001; // weight of what the lowest steps say
const BEHIND = 0.004; // how much farther the back is where nothing is hidden
const GAP = 0.18; // of the longer side: the widest gap that a turn opens, at a step of the whole range

const AROUND = 12; // pixels each way in which colours are compared
const OTHER = 0.06; // of the range of nearness: what is nearer by more is in front
const NOISE = 600; // squared distance of colours that says nothing

/**
 * How many pixels behind an outline may have colours that are mixed with the front's.
 * @param {number} half
 */
const mixedOf = (half) => half + MIXED;

/**
 * How many pixels behind an outline are looked at.
 * @param {number} half
 */
export const reachOf = (half) => mixedOf(half) + COPIED;

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The nearness of the back, and its colour, RGBA, where A says that it is not the photo's.
 * @param {Cut} cut
 */
export function background(cut) {
  const { sides, shown, pixels, outlines, half } = cut;
  const { width, height, behind } = sides;
  const isLeak = leaks(cut);
  const values = farSide(cut, isLeak);
  const inward = fromOutlines(sides, outlines);
  const widest = GAP * Math.max(width, height);
  const back = shown.map((value, at) => {
    const step = Math.max(value - values[4 * at + 3], 0);
    const hiding = clamp((widest * step + 2 * mixedOf(half) - inward[at]) / FADING, 0, 1);
    return value - hiding * step - BEHIND;
  });
  const opacity = new Float32Array(shown.length);
  const known = new Uint8Array(shown.length);
  for (let at = 0; at < shown.length; at++) {
    const away = outlines.distance[at];
    const isBehind = away && Math.abs(values[4 * at + 3] - behind[at]) < ALIKE;
    if (shown[at] - back[at] > APART || (isBehind && isLeak[at])) opacity[at] = 1;
    else if (isBehind) opacity[at] = clamp((mixedOf(half) + FADING - away) / FADING, 0, 1);
    known[at] = Number(isBehind && opacity[at] === 0);
    if (known[at]) values.set(pixels.subarray(4 * at, 4 * at + 3), 4 * at);
  }
  const wanted = Uint8Array.from(opacity, (value) => Number(value > 0));
  fillWithPatches({ values, wanted, known, width, height });
  closeSeams(values, wanted, known, sides);
  const fill = Uint8Array.from(values);
  opacity.forEach((value, at) => (fill[4 * at + 3] = 255 * value));
  return { back, fill };
}

/**
 * The pixels behind outlines that look like what is in front of them, which goes on farther than its depth says.
 * @param {Cut} cut
 */
function leaks({ sides: { behind, width, height }, shown, pixels, outlines: { distance }, half }) {
  const isLeak = new Uint8Array(behind.length);
  for (let at = 0; at < behind.length; at++) {
    if (!distance[at] || distance[at] > mixedOf(half) + COLLAR) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    let [near, far] = [Infinity, Infinity];
    for (let row = Math.max(y - AROUND, 0); row <= Math.min(y + AROUND, height - 1); row += 2) {
      for (let column = Math.max(x - AROUND, 0); column <= Math.min(x + AROUND, width - 1); column += 2) {
        const other = row * width + column;
        const step = shown[other] - behind[at];
        if (step > OTHER) near = Math.min(near, contrast(pixels, at, other));
        else if (step > -OTHER && (!distance[other] || distance[other] > mixedOf(half) + FADING)) {
          far = Math.min(far, contrast(pixels, at, other));
        }
      }
    }
    isLeak[at] = Number(far < Infinity && near + NOISE < far);
  }
  return isLeak;
}

/**
 * The squared distance of two pixels' colours.
 * @param {Uint8ClampedArray} pixels RGBA
 * @param {number} at
 * @param {number} other
 */
function contrast(pixels, at, other) {
  const [red, green] = [pixels[4 * at] - pixels[4 * other], pixels[4 * at + 1] - pixels[4 * other + 1]];
  const blue = pixels[4 * at + 2] - pixels[4 * other + 2];
  return red * red + green * green + blue * blue;
}

/**
 * Colours and nearness of the background next to outlines, spread to all other pixels. High steps count most: next to
 * them, what is behind a low one is still a part of the front.
 * @param {Cut} cut
 * @param {Uint8Array} isLeak
 * @returns {Float32Array} R, G, B and nearness a pixel
 */
function farSide({ sides: { behind, width, height }, pixels, outlines: { distance, hider }, half }, isLeak) {
  const values = Float32Array.from(pixels);
  const weights = new Float32Array(behind.length);
  const mixed = mixedOf(half);
  for (let at = 0; at < behind.length; at++) {
    values[4 * at + 3] = behind[at];
    if (distance[at] <= mixed || distance[at] > mixed + COLLAR || isLeak[at]) continue;
    weights[at] = clamp(((hider[at] - behind[at]) / HIGH) ** 2, LEAST, 1);
  }
  spreadKnown({ values, weights, width, height });
  return values;
}

/**
 * Have what was filled in meet what is known beside it: the differences there, spread to all of it, are added.
 * @param {Float32Array} values R, G, B and another a pixel
 * @param {Uint8Array} wanted what was filled in
 * @param {Uint8Array} known
 * @param {{width: number, height: number}} size
 */
function closeSeams(values, wanted, known, { width, height }) {
  const seams = new Float32Array(values.length);
  const weights = new Float32Array(wanted.length);
  for (let at = 0; at < wanted.length; at++) {
    if (!wanted[at]) continue;
    let count = 0;
    forNeighbours(at, { width, height }, (other) => {
      if (!known[other]) return;
      for (let channel = 0; channel < 3; channel++) {
        seams[4 * at + channel] += values[4 * other + channel] - values[4 * at + channel];
      }
      count++;
    });
    for (let channel = 0; channel < 3; channel++) seams[4 * at + channel] /= Math.max(count, 1);
    weights[at] = Number(count > 0);
  }
  spreadKnown({ values: seams, weights, width, height });
  for (let at = 0; at < wanted.length; at++) {
    if (!wanted[at]) continue;
    for (let channel = 0; channel < 3; channel++) {
      values[4 * at + channel] = clamp(values[4 * at + channel] + seams[4 * at + channel], 0, 255);
    }
  }
}
