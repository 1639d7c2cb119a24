// The outlines of what is in front, and how far pixels are from them.

/** @import { Sides } from "./steps.js" */

/**
 * For the pixels behind an outline their distance from it, 1 and more, and the nearness of what it is the outline of;
 * 0 elsewhere.
 * @typedef {{distance: Uint8Array, hider: Float32Array}} Behind
 */

const APART = 0.02; // of the range of nearness: neighbours that are farther apart are not behind the same outline

const BOTH_WAYS = [-1, 0, 1];
const NEIGHBOURS = BOTH_WAYS.flatMap((y) => BOTH_WAYS.map((x) => [x, y])).filter(([x, y]) => x || y);

/**
 * Call for each neighbour of a pixel.
 * @param {number} at
 * @param {{width: number, height: number}} size
 * @param {(other: number) => void} visit
 */
export function forNeighbours(at, { width, height }, visit) {
  const [x, y] = [at % width, Math.floor(at / width)];
  for (const [right, down] of NEIGHBOURS) {
    if (x + right < 0 || x + right >= width || y + down < 0 || y + down >= height) continue;
    visit(at + right + down * width);
  }
}

/**
 * Whether a pixel is in front of a step.
 * @param {number} side
 */
export const isFront = (side) => side > 0 && side < 1;

/**
 * The pixels behind the outlines of what is in front.
 * @param {Sides} sides
 * @param {number} most distance in pixels
 * @returns {Behind}
 */
export function behindOutlines(sides, most) {
  const { side, front, behind } = sides;
  const distance = new Uint8Array(side.length);
  const hider = new Float32Array(side.length);
  for (let at = 0; at < side.length; at++) {
    if (isFront(side[at])) continue;
    forNeighbours(at, sides, (other) => {
      if (!isFront(side[other]) || (side[at] > 0 && 2 * front[at] >= front[other] + behind[other])) return;
      distance[at] = 1;
      hider[at] = Math.max(hider[at], front[other]);
    });
  }
  let reached = Array.from(distance.keys()).filter((at) => distance[at]);
  for (let step = 2; step <= most; step++) {
    /** @type {number[]} */
    const next = [];
    for (const at of reached) {
      forNeighbours(at, sides, (other) => {
        if (distance[other] || isFront(side[other]) || Math.abs(behind[other] - behind[at]) >= APART) return;
        distance[other] = step;
        hider[other] = hider[at];
        next.push(other);
      });
    }
    reached = next;
  }
  return { distance, hider };
}

/**
 * How many pixels everything is from the next outline, about: steps to the side count 1, and to a corner 1.4.
 * @param {Sides} sides
 * @param {Behind} outlines
 */
export function fromOutlines({ width, height }, { distance }) {
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
