// Depth as files, at the photo's full size, made when somebody asks for one.

/** @import { NetworkMap } from "../depth/resize.js" */
/** @import { Range } from "../depth/nearness.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Depth } from "../service/api.js" */
/** @import { Look } from "../views/heatmap_drawing.js" */

import { toFloat16 } from "../depth/float16.js";
import { extent, normalized, scale } from "../depth/nearness.js";
import { gridSize, ply, pointCloud } from "../depth/pointcloud.js";
import { enlarged, upsample } from "../depth/resize.js";
import { levelOf } from "../views/heatmap_drawing.js";
import { GREY, PALETTE, png } from "./png.js";

/** @typedef {{width: number, height: number}} Size of the photo in pixels */

const BAND = 64; // rows at a time, so that the page stays responsive

/** Let the page respond, then go on. */
const pause = () => new Promise((resolve) => setTimeout(resolve));

/**
 * The rows of a map at full size, band by band: (up to BAND, width).
 * @param {NetworkMap} map
 * @param {Size} size
 */
async function* bands(map, { width, height }) {
  const rows = enlarged(map, width, height);
  for (let top = 0; top < height; top += BAND) {
    yield rows(top, Math.min(top + BAND, height));
    await pause();
  }
}

/**
 * @param {AsyncIterable<Float32Array>} source
 * @param {(band: Float32Array) => Uint8Array} bytes
 */
async function* mapped(source, bytes) {
  for await (const band of source) yield bytes(band);
}

/**
 * The least and the greatest value.
 * @param {NetworkMap} map
 * @param {Size} size
 */
async function rangeAtFullSize(map, size) {
  /** @type {Range} */
  let range = [Infinity, -Infinity];
  for await (const band of bands(map, size)) range = extent(band, range);
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
  const nearness = scale(await rangeAtFullSize(map, size));
  const level = levelOf(look);
  const rows = mapped(bands(map, size), (band) => Uint8Array.from(band, (value) => level(nearness(value))));
  return png({ ...size, depth: 8, colourType: PALETTE, palette: table }, rows);
}

/**
 * A 16-bit grey PNG: 0 at the photo's farthest, 65535 at its nearest point; its texts say what these are.
 * @param {Depth} map
 * @param {Size} size
 */
export async function depthPng16(map, size) {
  const range = await rangeAtFullSize(map, size);
  const nearness = scale(range);
  const [min, max] = range.map((value) => String(Math.fround(value)));
  const texts = { min, max, kind: "inverse_depth", model: map.model };
  /** @param {Float32Array} band */
  const bigEndian = (band) => {
    const view = new DataView(new ArrayBuffer(2 * band.length));
    band.forEach((value, at) => view.setUint16(2 * at, Math.round(65535 * nearness(value))));
    return new Uint8Array(view.buffer);
  };
  return png({ ...size, depth: 16, colourType: GREY, texts }, mapped(bands(map, size), bigEndian));
}

/**
 * A NumPy file of float16 inverse depth, (height, width).
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
  return ply(pointCloud(normalized(upsample(map, width, height)), picture.pixelsAt(width, height)));
}
