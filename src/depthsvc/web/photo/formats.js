// What the service accepts: its photo formats, the largest photo, live sessions.

/** @typedef {{name: string, suffixes: string[], media_types: string[]}} PhotoFormat */

/** @type {PhotoFormat[]} */
let formats = [];
/** @type {{max_bytes: number, max_pixels: number, max_input_size: number, live: boolean}} */
let limits = { max_bytes: Infinity, max_pixels: Infinity, max_input_size: Infinity, live: false };

/** Load them from the service; until then there are none. */
export async function loadFormats() {
  const response = await fetch("static/photos.json");
  if (!response.ok) throw new Error(`The service responded with status ${response.status}.`);
  const { formats: known, ...bounds } = await response.json();
  formats = known;
  limits = bounds;
}

/** The largest request in bytes. */
export const maxBytes = () => limits.max_bytes;

/** Pixels of the largest photo. */
export const maxPixels = () => limits.max_pixels;

/** The largest size in pixels at which a network may see a photo. */
export const maxInputSize = () => limits.max_input_size;

/** Whether the service has live sessions. */
export const offersLive = () => limits.live;

/** The formats' names, for people. */
export const formatNames = () => formats.map(({ name }) => name);

/** Their media types, for a file input. */
export const mediaTypes = () => formats.flatMap(({ media_types }) => media_types);

/**
 * The kind of a file by its name, such as HEIC; empty if the name doesn't say, or says one that the service accepts.
 * @param {string} name
 */
export function foreignKind(name) {
  const suffix = /\.\w+$/.exec(name)?.[0].toLowerCase() ?? "";
  const accepted = formats.some(({ suffixes }) => suffixes.includes(suffix));
  return accepted ? "" : suffix.slice(1).toUpperCase();
}
