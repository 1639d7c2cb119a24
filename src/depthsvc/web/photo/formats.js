// The photo formats that the service accepts.

/** @typedef {{name: string, suffixes: string[], media_types: string[]}} PhotoFormat */

/** @type {PhotoFormat[]} */
let formats = [];

/** Load them from the service; until then there are none. */
export async function loadFormats() {
  const response = await fetch("static/photos.json");
  if (!response.ok) throw new Error(`The service responded with status ${response.status}.`);
  formats = (await response.json()).formats;
}

/** Their names, for people. */
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
