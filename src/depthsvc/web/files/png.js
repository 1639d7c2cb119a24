// Writing PNG files with the browser's own zlib.

import { crc32 } from "./crc32.js";

/**
 * `palette`: RGB triples. `texts`: what its text chunks say, by keyword.
 * @typedef {{width: number, height: number, depth: 8 | 16, colourType: number, palette?: Uint8Array,
 *     texts?: Record<string, string>}} Image
 */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const NO_FILTER = 0;
const UP_FILTER = 2;

/** Colour types of PNG. */
export const GREY = 0;
export const PALETTE = 3;

/**
 * @param {string} kind
 * @param {Uint8Array} data
 */
function chunk(kind, data) {
  const result = new Uint8Array(12 + data.length);
  const view = new DataView(result.buffer);
  view.setUint32(0, data.length);
  result.set(new TextEncoder().encode(kind), 4);
  result.set(data, 8);
  view.setInt32(8 + data.length, crc32(result.subarray(4, 8 + data.length)));
  return result;
}

/** @param {Image} image */
function header({ width, height, depth, colourType }) {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, colourType], 8);
  return chunk("IHDR", data);
}

/**
 * Whole rows, each with the type of its filter in front, and the last of them as it was.
 * @param {Uint8Array} bytes
 * @param {number} stride
 * @param {Uint8Array | null} above the row before the first, if there is one
 * @returns {[rows: Uint8Array<ArrayBuffer>, last: Uint8Array | null]}
 */
function filtered(bytes, stride, above) {
  const rows = bytes.length / stride;
  const result = new Uint8Array(rows * (stride + 1));
  for (let row = 0; row < rows; row++) {
    const at = row * (stride + 1);
    const current = bytes.subarray(row * stride, (row + 1) * stride);
    result[at] = above ? UP_FILTER : NO_FILTER;
    if (!above) result.set(current, at + 1);
    else for (let x = 0; x < stride; x++) result[at + 1 + x] = current[x] - above[x];
    above = current;
  }
  return [result, above];
}

/**
 * A stream of the filtered rows, pulled as fast as zlib reads them.
 * @param {AsyncIterator<Uint8Array, void>} bands
 * @param {number} stride
 * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
 */
function rowStream(bands, stride) {
  /** @type {Uint8Array | null} */
  let above = null;
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await bands.next();
      if (done) return controller.close();
      let rows;
      [rows, above] = filtered(value, stride, above);
      controller.enqueue(rows);
    },
  });
}

/**
 * A PNG file.
 * @param {Image} image
 * @param {AsyncIterator<Uint8Array, void>} bands whole rows; 16-bit samples have their high byte first
 * @returns {Promise<Blob>}
 */
export async function png(image, bands) {
  const { width, depth, palette, texts = {} } = image;
  const compressed = rowStream(bands, (width * depth) / 8).pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(compressed).arrayBuffer());
  const colours = palette ? [chunk("PLTE", palette)] : [];
  const said = Object.entries(texts).map(([name, text]) => chunk("tEXt", new TextEncoder().encode(`${name}\0${text}`)));
  const parts = [SIGNATURE, header(image), ...colours, ...said, chunk("IDAT", data)];
  return new Blob([...parts, chunk("IEND", new Uint8Array())], { type: "image/png" });
}
