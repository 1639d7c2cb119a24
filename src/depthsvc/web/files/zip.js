// Writing ZIP files whose members are stored as they are: pictures do not get smaller.

import { crc32 } from "./crc32.js";

/** @typedef {{name: string, blob: Blob}} Member a file in the archive; names differ */
/** @typedef {[bytes: 2 | 4, value: number]} Field a little-endian number */

const VERSION = 20;
const UTF8_NAMES = 0x0800;
const STORED = 0;
const MOST_BYTES = 0xffffffff; // without ZIP64

/**
 * @param {Field[]} fields
 * @returns {Uint8Array<ArrayBuffer>}
 */
function packed(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

/**
 * When a file was written, in steps of two seconds since 1980.
 * @param {Date} date
 * @returns {Field[]}
 */
const written = (date) => [
  [2, (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1)],
  [2, ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate()],
];

/**
 * An archive of files, which are read one at a time.
 * @param {AsyncIterable<Member>} members
 * @param {Date} date of all of them
 * @returns {Promise<Blob>}
 */
export async function zip(members, date = new Date()) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for await (const { name, blob } of members) {
    const encoded = new TextEncoder().encode(name);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    /** @type {Field[]} */
    const about = [[2, VERSION], [2, UTF8_NAMES], [2, STORED], ...written(date), [4, crc], [4, blob.size], [4, blob.size]];
    const header = packed([[4, 0x04034b50], ...about, [2, encoded.length], [2, 0]]);
    /** @type {Field[]} */
    const none = [[2, 0], [2, 0], [2, 0], [2, 0], [4, 0]]; // extra field, comment, disk, attributes
    directory.push(packed([[4, 0x02014b50], [2, VERSION], ...about, [2, encoded.length], ...none, [4, offset]]), encoded);
    parts.push(header, encoded, blob);
    offset += header.length + encoded.length + blob.size;
    if (offset > MOST_BYTES) throw new Error("The files are too large for one archive.");
  }
  const count = directory.length / 2;
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = packed([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
