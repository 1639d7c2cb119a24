// The layers of one photo, made beside the page, which stays responsive.

/** @import { NetworkMap } from "./resize.js" */

import { INVERSE_DEPTH } from "./kind.js";
import { layers } from "./layers.js";
import { relief } from "./relief.js";
import { upsample } from "./resize.js";

/**
 * `seen`: the photo's file; `size`: of the photo in the view; `grid`: of the layers; `half`: how many pixels of the grid
 * to either side the network spreads a step.
 * @typedef {{seen: Blob, depth: NetworkMap, size: Size, grid: Size, half: number}} Order
 */

/** @typedef {{width: number, height: number}} Size */

/** @param {Order} order */
async function make({ seen, depth, size, grid: { width, height }, half }) {
  const deep = relief(depth); // before it is enlarged, so that nothing is between unknown and known
  const photo = await createImageBitmap(seen, {
    resizeWidth: size.width,
    resizeHeight: size.height,
    resizeQuality: "high",
  });
  const { enlargement } = depth;
  const nearness = upsample({ ...deep.nearness, kind: INVERSE_DEPTH, enlargement }, width, height);
  const made = layers(nearness, pixelsOf(photo, width, height), half);
  const { front, back, edges, outline, fill } = made;
  const arrays = [front.vertices, front.triangles, back.vertices, back.triangles, edges, outline, fill];
  const buffers = [...arrays, deep.nearness.values].map(({ buffer }) => buffer);
  postMessage({ relief: deep, layers: made, photo }, { transfer: [photo, ...buffers] });
}

/**
 * A photo's pixels at another size, RGBA.
 * @param {ImageBitmap} photo
 * @param {number} width
 * @param {number} height
 */
function pixelsOf(photo, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser has no canvas in workers.");
  context.drawImage(photo, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

addEventListener("message", ({ data }) => make(data).catch(reportError));
