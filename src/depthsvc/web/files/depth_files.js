// Files to keep: the depth at the photo's full size, made when somebody asks for it.

import { toFloat16 } from "../depth/float16.js";
import { levelOf } from "../views/heatmap_drawing.js";
import { extent, normalized, scale } from "../depth/nearness.js";
import { GREY, PALETTE, png } from "./png.js";
import { gridSize, ply, pointCloud } from "../depth/pointcloud.js";
import { enlarged, upsample } from "../depth/resize.js";

const BAND = 64; // rows at a time, so that the page answers between two bands

/** Let the page answer, then go on. */
const pause = () => new Promise((resolve) => setTimeout(resolve));

/** The rows of a map at full size, band by band: Float32Array (up to BAND, width). */
async function* bands(map, width, height) {
  const rows = enlarged(map, width, height);
  for (let top = 0; top < height; top += BAND) {
    yield rows(top, Math.min(top + BAND, height));
    await pause();
  }
}

async function* mapped(source, bytes) {
  for await (const band of source) yield bytes(band);
}

async function nearnessAtFullSize(map, width, height) {
  let range;
  for await (const band of bands(map, width, height)) range = extent(band, range);
  return scale(range);
}

/**
 * The heatmap as the page shows it, at the photo's size: a PNG with a palette.
 * @param {{values: Float32Array, width: number, height: number}} map inverse depth on the network's grid
 * @param {{width: number, height: number}} photo size in pixels
 * @param {Uint8Array} table 256 RGB triples
 * @param {{far: number, near: number, invert: boolean}} look
 */
export async function heatmapPng(map, { width, height }, table, look) {
  const nearness = await nearnessAtFullSize(map, width, height);
  const level = levelOf(look);
  const rows = mapped(bands(map, width, height), (band) => Uint8Array.from(band, (value) => level(nearness(value))));
  return png({ width, height, depth: 8, colourType: PALETTE, palette: table }, rows);
}

/** A 16-bit grey PNG of the photo's size: 0 at its farthest, 65535 at its nearest point. */
export async function depthPng16(map, { width, height }) {
  const nearness = await nearnessAtFullSize(map, width, height);
  const bigEndian = (band) => {
    const view = new DataView(new ArrayBuffer(2 * band.length));
    band.forEach((value, at) => view.setUint16(2 * at, Math.round(65535 * nearness(value))));
    return new Uint8Array(view.buffer);
  };
  return png({ width, height, depth: 16, colourType: GREY }, mapped(bands(map, width, height), bigEndian));
}

/** A NumPy file of float16 inverse depth, (height, width) of the photo. */
export async function depthNpy(map, { width, height }) {
  const header = `{'descr': '<f2', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
  const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
  const magic = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8];
  const parts = [Uint8Array.from(magic), padded];
  for await (const band of bands(map, width, height)) parts.push(toFloat16(band));
  return new Blob(parts, { type: "application/octet-stream" });
}

/**
 * A PLY file of at most a million coloured points.
 * @param {(width: number, height: number) => Uint8ClampedArray} pixelsAt the photo's RGBA at a size
 */
export async function pointsPly(map, photo, pixelsAt) {
  const [width, height] = gridSize(photo.width, photo.height);
  await pause();
  return ply(pointCloud(normalized(upsample(map, width, height)), pixelsAt(width, height)));
}

/** Have the browser save a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
