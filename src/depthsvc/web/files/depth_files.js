// Depth as files, at the photo's full size, made when somebody asks for one.

/** @import { Range } from "../depth/nearness.js" */
/** @import { NetworkMap } from "../depth/resize.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Depth } from "../service/api.js" */
/** @import { Look } from "../views/heatmap_drawing.js" */

import { toFloat16 } from "../depth/float16.js";
import { inverseDepth, METRES, nearestOf } from "../depth/kind.js";
import { extent, scale } from "../depth/nearness.js";
import { distances, fieldOfView, gridSize, ply, pointCloud } from "../depth/pointcloud.js";
import { enlarged, upsample } from "../depth/resize.js";
import { levelOf } from "../views/heatmap_drawing.js";
import { GREY, PALETTE, png } from "./png.js";

/** @typedef {{width: number, height: number}} Size of the photo in pixels */
/** @typedef {AsyncGenerator<Float32Array, void>} Bands some rows of a map at a time */

const BAND = 64; // rows at a time, so that the page stays responsive
const MILLIMETRE = 1e-3;
const MOST = 65535; // the largest value of a 16-bit PNG

/** Let the page respond, then go on. */
const pause = () => new Promise((resolve) => setTimeout(resolve));

/**
 * The rows of a map at full size, band by band: (up to BAND, width).
 * @param {NetworkMap} map
 * @param {Size} size
 * @returns {Bands}
 */
async function* bands(map, { width, height }) {
  const rows = enlarged(map, width, height);
  for (let top = 0; top < height; top += BAND) {
    yield rows(top, Math.min(top + BAND, height));
    await pause();
  }
}

/**
 * Their inverse depth.
 * @param {NetworkMap} map
 * @param {Size} size
 */
const inverseBands = (map, size) => mapped(bands(map, size), (band) => inverseDepth(band, map.kind, nearestOf(map)));

/**
 * @template T
 * @param {Bands} source
 * @param {(band: Float32Array) => T} change
 */
async function* mapped(source, change) {
  for await (const band of source) yield change(band);
}

/**
 * The least and the greatest value.
 * @param {Bands} source
 */
async function rangeOf(source) {
  /** @type {Range} */
  let range = [Infinity, -Infinity];
  for await (const band of source) range = extent(band, range);
  return range;
}

/**
 * The heatmap as the page shows it: a PNG with a palette.
 * @param {NetworkMap} map
 * @param {Size} size
 * @param {Uint8Array} table 256 RGB triples
 * @param {Look} look
 */
export async function heatmapPng(map, size, table, look) {
  const nearness = scale(await rangeOf(inverseBands(map, size)));
  const level = levelOf(look);
  const rows = mapped(inverseBands(map, size), (band) => Uint8Array.from(band, (value) => level(nearness(value))));
  return png({ ...size, depth: 8, colourType: PALETTE, palette: table }, rows);
}

/**
 * A 16-bit grey PNG, as `depthsvc.imaging.encode.png16`: 0 at the photo's farthest, 65535 at its nearest point, or
 * metres in whole steps; its texts say what these are.
 * @param {Depth} map
 * @param {Size} size
 */
export async function depthPng16(map, size) {
  const range = await rangeOf(bands(map, size));
  const [min, max] = range.map(nineDigits);
  const { level, ...about } = map.kind === METRES ? inSteps(range) : { level: inRange(range), unit: "relative" };
  const texts = { min, max, kind: map.kind, model: map.model, ...about };
  /** @param {Float32Array} band */
  const bigEndian = (band) => {
    const view = new DataView(new ArrayBuffer(2 * band.length));
    band.forEach((value, at) => view.setUint16(2 * at, level(value)));
    return new Uint8Array(view.buffer);
  };
  return png({ ...size, depth: 16, colourType: GREY, texts }, mapped(bands(map, size), bigEndian));
}

/**
 * Levels of inverse depth: its range over all of them.
 * @param {Range} range
 */
function inRange(range) {
  const nearness = scale(range);
  /** @param {number} value */
  return (value) => Math.round(MOST * nearness(value));
}

/**
 * Levels of metres: steps of a millimetre, or of as few as the farthest point allows; and the step in metres.
 * @param {Range} range
 */
function inSteps([, farthest]) {
  const step = MILLIMETRE * Math.max(1, Math.ceil(Math.fround(farthest / Math.fround(MILLIMETRE * MOST))));
  /** @param {number} metres */
  const level = (metres) => Math.min(roundedToEven(Math.fround(metres / Math.fround(step))), MOST);
  return { level, unit: METRES, scale: nineDigits(step) };
}

/**
 * The nearest whole number, and the even one of two that are equally near, as NumPy rounds.
 * @param {number} value
 */
function roundedToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** @param {number} value */
const nineDigits = (value) => String(Number(value.toPrecision(9)));

/**
 * A NumPy file of float16 depth of the map's kind, (height, width).
 * @param {NetworkMap} map
 * @param {Size} size
 */
export async function depthNpy(map, size) {
  const header = `{'descr': '<f2', 'fortran_order': False, 'shape': (${size.height}, ${size.width}), }`;
  const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
  const magic = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8];
  /** @type {BlobPart[]} */
  const parts = [Uint8Array.from(magic), padded];
  for await (const band of bands(map, size)) parts.push(toFloat16(band));
  return new Blob(parts, { type: "application/octet-stream" });
}

/**
 * A PLY file of at most a million coloured points.
 * @param {NetworkMap} map
 * @param {Picture} picture
 */
export async function pointsPly(map, picture) {
  const [width, height] = gridSize(picture.width, picture.height);
  await pause();
  const fov = fieldOfView(picture.depth);
  return ply(pointCloud(distances(upsample(map, width, height)), picture.pixelsAt(width, height), fov));
}
