// Live depth as colours.

/** @import { Range } from "../depth/nearness.js" */
/** @import { NetworkMap } from "../depth/resize.js" */
/** @import { Look } from "../views/heatmap_drawing.js" */

import { newCanvas } from "../canvas.js";
import { inverseDepth } from "../depth/kind.js";
import { scale } from "../depth/nearness.js";
import { upsample } from "../depth/resize.js";
import { GRAY, levelOf, paint, paintLegend, steps } from "../views/heatmap_drawing.js";

/** @typedef {{colormap: HTMLSelectElement, invert: HTMLInputElement, legend: HTMLCanvasElement}} Elements */

/** The last map, on a canvas of the network's own grid, which the browser enlarges. */
export class DepthCanvas {
  #canvas;
  #elements;
  #colormaps;
  /** @type {NetworkMap | null} */
  #map = null;
  /** @type {Range} */
  #range = [0, 1];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Elements} elements
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   */
  constructor(canvas, elements, colormaps) {
    this.#canvas = canvas;
    this.#elements = elements;
    this.#colormaps = colormaps;
    elements.colormap.addEventListener("input", () => this.#recolour());
    elements.invert.addEventListener("input", () => this.#recolour());
    this.#recolour();
  }

  /**
   * @param {NetworkMap} map
   * @param {Range} range of inverse depth
   */
  show(map, range) {
    [this.#map, this.#range] = [map, range];
    const { width, height } = map;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      [this.#canvas.width, this.#canvas.height] = [width, height];
    }
    this.#paint(this.#canvas, map.values);
  }

  /**
   * The last map at another size, enlarged like a photo's.
   * @param {number} width
   * @param {number} height
   */
  enlarged(width, height) {
    const canvas = newCanvas(width, height);
    if (this.#map) this.#paint(canvas, upsample(this.#map, width, height).values);
    return canvas;
  }

  /**
   * The CSS colour of a nearness.
   * @param {number} nearness 0..1
   */
  colourOf(nearness) {
    const at = 3 * levelOf(this.#look)(nearness);
    return `rgb(${this.#table.slice(at, at + 3).join(" ")})`;
  }

  get #table() {
    return this.#colormaps[this.#elements.colormap.value] ?? GRAY;
  }

  /** @returns {Look} */
  get #look() {
    return { far: 0, near: 1, invert: this.#elements.invert.checked };
  }

  #recolour() {
    paintLegend(this.#elements.legend, this.#table, this.#look);
    if (this.#map) this.show(this.#map, this.#range);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Float32Array} values one a pixel
   */
  #paint(canvas, values) {
    const nearness = inverseDepth(values, this.#map?.kind ?? "inverse_depth").map(scale(this.#range));
    paint(canvas, steps(nearness), this.#table, this.#look);
  }
}
