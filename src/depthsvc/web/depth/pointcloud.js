// Depth as points in space, with the formula of the service's /pointcloud.

/** @import { Kind } from "./kind.js" */
/** @import { DepthMap, Grid } from "./resize.js" */

import { INVERSE_DEPTH, METRES } from "./kind.js";
import { normalized } from "./nearness.js";

/**
 * Points with their x, y, z and R, G, B. The unit of length is a metre, or for relative depth the nearest point's: the
 * farthest is 6 away. The focal length is in pixels of the photo's grid.
 * @typedef {{points: Float32Array<ArrayBuffer>, colours: Uint8Array<ArrayBuffer>, count: number,
 *     focal: number, kind: Kind}} PointCloud
 */

/** @typedef {Grid & {kind: Kind}} Distances along the camera's axis, 0 where there is no point, from depth of a kind */

const FARTHEST = 6; // the farthest depth, in units of the nearest
const SKY = 0.02; // nearness below which there is sky or far background
const HALF = 128; // opacity below which there is no point
const MAX_POINTS = 1_000_000;
/** @type {Record<Kind, string>} */
const COMMENTS = {
  inverse_depth: "relative depth, the nearest point at 1; not metres",
  metres: "depth in metres",
};

/** Angle in degrees that the photo's longer side spans. */
export const FIELD_OF_VIEW = 60;

/**
 * The angle in degrees by which points are placed: the photo's own where lengths are true, as the service does it.
 * @param {{kind: Kind, fov: number | null}} depth
 */
export const fieldOfView = ({ kind, fov }) => (kind === METRES && fov) || FIELD_OF_VIEW;

/**
 * The grid of a photo's points: one a pixel, or fewer where that would be too many.
 * @param {number} width
 * @param {number} height
 * @param {number} most
 * @returns {[columns: number, rows: number]}
 */
export function gridSize(width, height, most = MAX_POINTS) {
  let stride = Math.max(1, Math.floor(Math.sqrt(Math.floor((width * height) / most))));
  while (Math.ceil(width / stride) * Math.ceil(height / stride) > most) stride++;
  return [Math.ceil(width / stride), Math.ceil(height / stride)];
}

/**
 * How far away the points of a map are: its metres, or relative distances without the sky.
 * @param {DepthMap} map
 * @returns {Distances}
 */
export function distances(map) {
  if (map.kind === METRES) return map;
  const { values, width, height, constant } = normalized(map);
  /** @param {number} near */
  const distance = (near) => (near < SKY && !constant ? 0 : 1 / (near + (1 - near) / FARTHEST));
  return { values: values.map(distance), width, height, kind: INVERSE_DEPTH };
}

/**
 * The points of a photo: x to the right, y up, and the camera at the origin looks along -z.
 * @param {Distances} distances
 * @param {Uint8ClampedArray} pixels RGBA of the same size; what is transparent has no points
 * @param {number} fov angle in degrees that the photo's longer side spans
 * @returns {PointCloud}
 */
export function pointCloud({ values, width, height, kind }, pixels, fov) {
  const focal = Math.max(width, height) / (2 * Math.tan((fov * Math.PI) / 360));
  const points = new Float32Array(3 * values.length);
  const colours = new Uint8Array(3 * values.length);
  let count = 0;
  for (let at = 0; at < values.length; at++) {
    const depth = values[at];
    if (depth === 0 || pixels[4 * at + 3] < HALF) continue;
    points[3 * count] = (((at % width) + 0.5 - width / 2) * depth) / focal;
    points[3 * count + 1] = ((height / 2 - 0.5 - Math.floor(at / width)) * depth) / focal;
    points[3 * count + 2] = -depth;
    for (let channel = 0; channel < 3; channel++) colours[3 * count + channel] = pixels[4 * at + channel];
    count++;
  }
  return { points: points.subarray(0, 3 * count), colours: colours.subarray(0, 3 * count), count, focal, kind };
}

/**
 * A binary little-endian PLY file, 15 bytes a point.
 * @param {PointCloud} cloud
 */
export function ply({ points, colours, count, kind }) {
  const floats = ["x", "y", "z"].map((name) => `property float ${name}\n`);
  const bytes = ["red", "green", "blue"].map((name) => `property uchar ${name}\n`);
  const header = `ply\nformat binary_little_endian 1.0\ncomment ${COMMENTS[kind]}\nelement vertex ${count}\n`;
  const body = new DataView(new ArrayBuffer(15 * count));
  for (let index = 0; index < 3 * count; index++) {
    const at = 15 * Math.floor(index / 3);
    body.setFloat32(at + 4 * (index % 3), points[index], true);
    body.setUint8(at + 12 + (index % 3), colours[index]);
  }
  return new Blob([header, ...floats, ...bytes, "end_header\n", body], { type: "model/ply" });
}
