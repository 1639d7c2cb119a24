// Depth as colours.

import { context2d } from "../canvas.js";

/**
 * How nearness becomes colour: which nearness 0..1 gets the first and the last colour, and whether they swap.
 * @typedef {{far: number, near: number, invert: boolean}} Look
 */

/** How many `steps` there are. */
export const STEPS = 4096; // of nearness on the screen: finer than 256 colours, so that clipping stays smooth

/** The colours for when the service's own tables can't be loaded. */
export const GRAY = Uint8Array.from({ length: 3 * 256 }, (_, index) => Math.floor(index / 3));

/**
 * The service's own colour tables.
 * @returns {Promise<Record<string, Uint8Array<ArrayBuffer>>>} by name, 256 RGB triples from far to near
 */
export async function loadColormaps() {
  const response = await fetch("static/colormaps.json");
  if (!response.ok) throw new Error(`The service responded with status ${response.status}.`);
  /** @type {Record<string, string>} */
  const tables = await response.json();
  /** @param {string} base64 */
  const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return Object.fromEntries(Object.entries(tables).map(([name, base64]) => [name, bytes(base64)]));
}

/**
 * The colour level of a nearness.
 * @param {Look} look
 * @returns {(nearness: number) => number} 0..255
 */
export function levelOf({ far, near, invert }) {
  const factor = 255 / Math.max(near - far, 1e-6);
  return (nearness) => {
    const level = Math.round(Math.min(Math.max((nearness - far) * factor, 0), 255));
    return invert ? 255 - level : level;
  };
}

/**
 * Nearness as the steps that `paint` reads, made once for a size.
 * @param {ArrayLike<number>} nearness 0..1 (height, width)
 */
export function steps(nearness) {
  const result = new Uint16Array(nearness.length);
  for (let at = 0; at < result.length; at++) result[at] = Math.round(nearness[at] * (STEPS - 1));
  return result;
}

/**
 * Colour a map on a canvas of its size.
 * @param {HTMLCanvasElement} canvas (height, width)
 * @param {Uint16Array} steps from `steps`, one a pixel
 * @param {Uint8Array} table 256 RGB triples
 * @param {Look} look
 */
export function paint(canvas, steps, table, look) {
  const image = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = packed(table, look);
  for (let at = 0; at < pixels.length; at++) pixels[at] = colours[steps[at]];
  context2d(canvas).putImageData(image, 0, 0);
}

/**
 * Every step's colour as a pixel of image data.
 * @param {Uint8Array} table
 * @param {Look} look
 */
function packed(table, look) {
  const level = levelOf(look);
  const bytes = new Uint8ClampedArray(4 * STEPS).fill(255);
  for (let step = 0; step < STEPS; step++) {
    const at = 3 * level(step / (STEPS - 1));
    bytes.set(table.subarray(at, at + 3), 4 * step);
  }
  return new Uint32Array(bytes.buffer);
}

/**
 * Draw the legend: the current colours of nearness 0..1 from left to right.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} table
 * @param {Look} look
 */
export function paintLegend(canvas, table, look) {
  paint(canvas, steps(Array.from({ length: canvas.width }, (_, x) => x / (canvas.width - 1))), table, look);
}
