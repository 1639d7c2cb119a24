// How deep the 3-D view is: the inverse depth that it shows, and what it turns about.

/** @import { DepthMap, Grid } from "./resize.js" */

import { inverseDepth, METRES } from "./kind.js";
import { extent } from "./nearness.js";

/**
 * Nearness 0..1 is inverse depth from `low` to `high`, in 1 / metres or, for relative depth, of an assumed range whose
 * nearest is 1; `pivot` is that of the subject.
 * @typedef {{nearness: Grid, low: number, high: number, pivot: number}} Relief
 */

const ASSUMED = 2.4; // the farthest relative distance, in units of the nearest: its scale and shift are unknown
const DEEPEST = 60; // the farthest distance in metres, in units of the nearest
const SKY = 0.02; // of the range: what is farther is put on one far surface
const SUBJECT = 0.7; // of the points in the middle of the photo are farther than the subject

/**
 * The relief of a depth map. What is at an unknown distance is put on the far surface.
 * @param {DepthMap} map
 * @returns {Relief}
 */
export function relief({ values, width, height, kind, nearest }) {
  const inverse = inverseDepth(values, kind, nearest);
  const known = kind === METRES ? inverse.filter((value) => value > 0) : inverse;
  const [least, most] = known.length ? extent(known) : [1, 1];
  const from = kind === METRES ? Math.max(least, most / DEEPEST) : least;
  const span = most - from > 1e-6 * most ? most - from : Infinity;
  const far = SKY * (kind === METRES ? 0 : 1);
  const nearness = {
    values: inverse.map((value) => Math.min(Math.max(((value - from) / span - far) / (1 - far), 0), 1)),
    width,
    height,
  };
  const [low, high] = kind === METRES ? [from, most] : [1 / ASSUMED, 1];
  return { nearness, low, high, pivot: low + (high - low) * subject(nearness) };
}

/**
 * The nearness of what is in the middle.
 * @param {Grid} nearness
 */
function subject({ values, width, height }) {
  const middle = values.filter((_, at) => {
    const [x, y] = [(at % width) / width, Math.floor(at / width) / height];
    return x >= 0.25 && x <= 0.75 && y >= 0.25 && y <= 0.75;
  });
  return middle.sort()[Math.floor(SUBJECT * middle.length)] ?? 0;
}
