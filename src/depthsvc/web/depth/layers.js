// A photo as two surfaces: what it shows, cut at its steps of depth, and what is hidden behind the steps.

/** @import { Behind } from "./outlines.js" */
/** @import { Grid } from "./resize.js" */
/** @import { Sides } from "./steps.js" */
/** @import { Mesh } from "./triangles.js" */

import { background, reachOf } from "./background.js";
import { behindOutlines, forNeighbours, isFront } from "./outlines.js";
import { sidesOf } from "./steps.js";
import { cutTriangles, OUTLINE, sheet, trianglesAt } from "./triangles.js";

/**
 * `front` is what the photo shows, and `edges` are more triangles of its vertices, which have an outline in them. `outline` has a
 * byte a pixel: the front ends where it falls below `OUTLINE`. `back` is what is behind the front where it opens; `fill` is
 * its colour, RGBA, where A says that it is not the photo's.
 * @typedef {{width: number, height: number, front: Mesh, edges: Uint32Array<ArrayBuffer>, back: Mesh,
 *     outline: Uint8Array<ArrayBuffer>, fill: Uint8Array<ArrayBuffer>}} Layers
 */

const FAR_APART = 0.06; // of the range of nearness: what is farther apart is not of one thing
const SMOOTHINGS = 6;
const COARSE = 6; // pixels from a vertex of the back to the next

/**
 * The nearness of what the photo shows. In front of an outline it is smooth, and goes on for a pixel beyond it.
 * @param {Sides} sides
 * @param {Behind} outlines
 */
function surface(sides, { distance }) {
  const { side, front, behind } = sides;
  const isRim = side.map((value, at) => Number(isFront(value) || distance[at] === 1));
  const shown = side.map((value, at) => (value > 0 || isRim[at] ? front[at] : behind[at]));
  for (let times = 0; times < SMOOTHINGS; times++) {
    const before = shown.slice();
    for (let at = 0; at < side.length; at++) {
      if (!isRim[at]) continue;
      let [sum, count] = distance[at] === 1 ? [0, 0] : [before[at], 1];
      forNeighbours(at, sides, (other) => {
        if (distance[other] === 1 || (!isFront(side[other]) && Math.abs(before[other] - front[at]) > FAR_APART)) return;
        sum += before[other];
        count++;
      });
      if (count) shown[at] = sum / count;
    }
  }
  return shown;
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
  const outlines = behindOutlines(sides, reachOf(half));
  const shown = surface(sides, outlines);
  const { back, fill } = background({ sides, shown, pixels, outlines, half });
  const isRim = outlines.distance.map((value) => Number(value === 1));
  const isFar = side.map((value, at) => Number(!isFront(value) && !isRim[at]));
  const outline = Uint8Array.from(side, (value, at) => (value > 0 || isRim[at] ? byteOf(value) : 255));
  const all = sheet({ values: shown, width, height }, 1);
  const { whole, edges } = cutTriangles(all, { outline, isRim, isFar, width, height });
  const coarse = sheet({ values: back, width, height }, COARSE);
  const opened = outline.map((value, at) => Number(value < 255 || fill[4 * at + 3] > 0));
  return {
    width,
    height,
    front: { vertices: all.vertices, triangles: whole },
    edges,
    back: { vertices: coarse.vertices, triangles: trianglesAt(coarse, COARSE, opened, width) },
    outline,
    fill,
  };
}

/** @param {number} side */
const byteOf = (side) => Math.min(Math.max(Math.round(OUTLINE + 254 * side), 0), 255);
