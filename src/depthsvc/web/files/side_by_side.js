// Photo and heatmap in one picture that says which is which.

/** @import { Picture } from "../photo/picture.js" */
/** @import { Look } from "../views/heatmap_drawing.js" */

import { context2d, jpegOf, newCanvas } from "../canvas.js";
import { nearestOf } from "../depth/kind.js";
import { normalized } from "../depth/nearness.js";
import { decoded } from "../photo/picture.js";
import { paintLegend } from "../views/heatmap_drawing.js";
import { endsOf } from "../views/kind_words.js";
import { words } from "../words/i18n.js";
import { heatmapPng } from "./depth_files.js";

const MOST_PIXELS = 12.5e6; // of the photo in it
const LONGEST = 8000; // pixels of the photo's side: twice that is what every browser can draw
const PAPER = "rgb(255 255 255)";
const INK = "rgb(29 26 36)";

/**
 * A JPEG: the photo on the left, the heatmap as the page shows it on the right, and the legend below.
 * @param {Picture} picture
 * @param {Uint8Array} table 256 RGB triples
 * @param {Look} look
 */
export async function sideBySide(picture, table, look) {
  const scale = Math.min(
    1,
    Math.sqrt(MOST_PIXELS / (picture.width * picture.height)),
    LONGEST / Math.max(picture.width, picture.height),
  );
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(scale * side)));
  const letter = Math.round(Math.min(Math.max(width / 32, 13), 64));
  const canvas = newCanvas(2 * width, height + 2 * letter);
  const context = context2d(canvas);
  context.fillStyle = PAPER;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture.drawn(width, height), 0, 0);
  const heatmap = await decoded(await heatmapPng(picture.depth, { width, height }, table, look));
  context.drawImage(heatmap, width, 0);
  URL.revokeObjectURL(heatmap.src);
  drawCaptions(context, picture, letter, legendOf(table, look));
  return jpegOf(canvas);
}

/**
 * @param {Uint8Array} table
 * @param {Look} look
 */
function legendOf(table, look) {
  const legend = newCanvas(256, 1);
  paintLegend(legend, table, look);
  return legend;
}

/**
 * Name both halves at their left, and the ends of the legend at the right, where there is room for it.
 * @param {CanvasRenderingContext2D} context
 * @param {Picture} picture
 * @param {number} letter height of the letters in pixels
 * @param {HTMLCanvasElement} legend
 */
function drawCaptions(context, { depth }, letter, legend) {
  const { width, height } = context.canvas;
  const [middle, line] = [width / 2, height - letter];
  const { far, near } = endsOf(normalized({ ...depth, nearest: nearestOf(depth) }).range, depth.kind);
  const [farEnd, nearEnd, title] = [words(...far), words(...near), words("depth")];
  context.fillStyle = INK;
  context.font = `${letter}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.fillText(words("photo"), letter, line);
  context.fillText(title, middle + letter, line);
  /** @param {string} text */
  const lengthOf = (text) => context.measureText(text).width;
  const start = middle + lengthOf(title) + 4 * letter + lengthOf(farEnd);
  const end = width - 2 * letter - lengthOf(nearEnd);
  const left = Math.max(start, end - 16 * letter);
  if (end - left < 4 * letter) return;
  context.drawImage(legend, left, line - letter / 2, end - left, letter);
  context.fillText(nearEnd, end + letter, line);
  context.textAlign = "end";
  context.fillText(farEnd, left - letter, line);
}
