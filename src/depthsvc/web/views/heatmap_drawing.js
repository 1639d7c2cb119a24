// Depth as colours.

const STEPS = 4096; // of nearness on the screen: finer than 256 colours, so that clipping stays smooth

/** The colours where the service's own tables cannot be had. */
export const GRAY = Uint8Array.from({ length: 3 * 256 }, (_, index) => Math.floor(index / 3));

/**
 * The service's own colour tables.
 * @returns {Promise<Object<string, Uint8Array>>} by name, 256 RGB triples from far to near
 */
export async function loadColormaps() {
  const answer = await fetch("static/colormaps.json");
  if (!answer.ok) throw new Error(`The service answered ${answer.status}.`);
  const tables = await answer.json();
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Object.fromEntries(Object.entries(tables).map(([name, text]) => [name, bytes(text)]));
}

/**
 * The colour level of a nearness.
 * @param {{far: number, near: number, invert: boolean}} look nearness 0..1 that gets the first and the last colour
 * @returns {(nearness: number) => number} 0..255
 */
export function levelOf({ far, near, invert }) {
  const factor = 255 / Math.max(near - far, 1e-6);
  return (nearness) => {
    const level = Math.round(Math.min(Math.max((nearness - far) * factor, 0), 255));
    return invert ? 255 - level : level;
  };
}

/** Nearness 0..1 (height, width) as steps for `paint`: Uint16Array. It is made once for a size. */
export function steps(nearness) {
  return Uint16Array.from(nearness, (value) => Math.round(value * (STEPS - 1)));
}

/**
 * Colour a map on a canvas of its size.
 * @param {HTMLCanvasElement} canvas (height, width)
 * @param {Uint16Array} steps from `steps`, one a pixel
 * @param {Uint8Array} table 256 RGB triples
 * @param {{far: number, near: number, invert: boolean}} look
 */
export function paint(canvas, steps, table, look) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = packed(table, look);
  for (let at = 0; at < pixels.length; at++) pixels[at] = colours[steps[at]];
  context.putImageData(image, 0, 0);
}

/** Every step's colour as a pixel of image data. */
function packed(table, look) {
  const level = levelOf(look);
  const bytes = new Uint8ClampedArray(4 * STEPS).fill(255);
  for (let step = 0; step < STEPS; step++) {
    const at = 3 * level(step / (STEPS - 1));
    bytes.set(table.subarray(at, at + 3), 4 * step);
  }
  return new Uint32Array(bytes.buffer);
}

/** Draw the legend: the colours of nearness 0..1 from left to right, as they are now. */
export function paintLegend(canvas, table, look) {
  paint(canvas, steps(Array.from({ length: canvas.width }, (_, x) => x / (canvas.width - 1))), table, look);
}
