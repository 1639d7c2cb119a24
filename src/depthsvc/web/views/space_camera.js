// The camera of the 3-D view: as through a window, it moves about the subject, whose plane stays where it is.

/** @import { Relief } from "../depth/relief.js" */

/**
 * Where the camera is: turned about the pivot by radians, `zoom` times as close as to see the whole picture, towards a
 * place that is a fraction of the picture's width and height from its top left; and the pivot's inverse depth.
 * @typedef {{yaw: number, pitch: number, zoom: number, x: number, y: number, pivot: number}} Pose
 */

/**
 * What a shader needs to place a point X, Y, Z in front of the first camera: `focal` times X, Y, plus its distance `w`
 * from the camera times `shear`, plus `offset`; `w` is Z - `back`.
 * @typedef {{focal: [number, number], shear: [number, number], offset: [number, number], back: number,
 *     clip: [number, number], slope: [number, number]}} Projection
 */

export const MOST_ZOOM = 4;
const WIDEST_TURN = (14 * Math.PI) / 180;
const PARTED = 0.13; // of the longer side: how far a turn may part the nearest from the farthest
export const COVER = 1.07; // so much larger than the frame is the picture, so that its border stays outside
const DOLLY = 0.4; // the part of a zoom that is the camera's way, as a power; the rest is the lens
const CLOSEST = 0.02; // bound of what is drawn, as a fraction of the pivot's distance

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** @param {number} degrees */
const halfTangent = (degrees) => Math.tan((degrees * Math.PI) / 360);

/**
 * How far the camera may turn to either side, in radians: until the nearest and the farthest have parted too far.
 * @param {Relief} relief
 * @param {number} fov of the photo's longer side in degrees
 */
export function widestTurn({ low, high, pivot }, fov) {
  return Math.min(WIDEST_TURN, Math.atan((2 * PARTED * halfTangent(fov) * pivot) / (high - low)));
}

/**
 * The same turn, eased towards its limit.
 * @param {number} turn
 * @param {number} limit
 */
export const eased = (turn, limit) => limit * Math.tanh(turn / limit);

/**
 * The places that a closer look can be at, so that the frame stays inside the picture.
 * @param {number} place
 * @param {number} zoom
 */
export const inside = (place, zoom) => clamp(place, 0.5 / zoom, 1 - 0.5 / zoom);

/**
 * How a camera sees.
 * @param {Pose} pose
 * @param {{width: number, height: number}} size of the picture
 * @param {number} taken field of view with which the photo was taken, in degrees of its longer side
 * @param {number} fov that of the camera: it is as far away as to see the pivot as large
 * @param {number} low the farthest inverse depth
 * @returns {Projection}
 */
export function projection({ yaw, pitch, zoom, x, y, pivot }, { width, height }, taken, fov, low) {
  const longer = Math.max(width, height);
  const tangent = halfTangent(taken);
  /** @type {[number, number]} */
  const slope = [(2 * width * tangent) / longer, (2 * height * tangent) / longer];
  const lens = tangent / halfTangent(fov);
  const away = lens / (pivot * zoom ** DOLLY);
  const strength = 2 * COVER * lens * zoom ** (1 - DOLLY);
  /** @type {[number, number]} */
  const focal = [strength / slope[0], strength / slope[1]];
  const moved = [Math.tan(yaw) / pivot, Math.tan(pitch) / pivot];
  const back = 1 / pivot - away;
  const size = COVER * zoom;
  const [near, far] = [CLOSEST * away, 4 / low + away];
  return {
    focal,
    shear: [(focal[0] * moved[0]) / away - size * (2 * x - 1), (focal[1] * moved[1]) / away + size * (2 * y - 1)],
    offset: [-focal[0] * moved[0], -focal[1] * moved[1]],
    back,
    clip: [(far + near) / (far - near), (-2 * far * near) / (far - near)],
    slope,
  };
}
