// The heatmap, its colours and limits, and the cursor that reads it.

import { followKeys, followPointer, mark } from "./cursor.js";
import { GRAY, paint, paintLegend, steps } from "./heatmap_drawing.js";
import { say } from "../words/i18n.js";
import { normalized } from "../depth/nearness.js";
import { sizeOn } from "../photo/picture.js";
import { upsample } from "../depth/resize.js";

const LONGEST = 1600; // pixels of the heatmap on the screen

/** The colour controls of the page, as one look. */
export class LookControls {
  #elements;

  /** @param {{colormap, invert, far, near, whole}} elements @param {() => void} onChange */
  constructor(elements, onChange) {
    this.#elements = elements;
    const { colormap, invert, far, near, whole } = elements;
    far.addEventListener("input", () => (near.value = Math.max(near.value, Number(far.value) + 1)));
    near.addEventListener("input", () => (far.value = Math.min(far.value, Number(near.value) - 1)));
    whole.addEventListener("click", () => ([far.value, near.value] = [0, 100]));
    for (const element of [colormap, invert, far, near]) element.addEventListener("input", () => this.#changed(onChange));
    whole.addEventListener("click", () => this.#changed(onChange));
    this.#changed(() => {});
  }

  #changed(onChange) {
    const { far, near, whole } = this.#elements;
    for (const slider of [far, near]) slider.nextElementSibling.textContent = `${slider.value} %`;
    whole.disabled = far.value === "0" && near.value === "100";
    onChange();
  }

  get colormap() {
    return this.#elements.colormap.value;
  }

  /** Which nearness gets the first and the last colour, and whether they are turned round. */
  get look() {
    const { invert, far, near } = this.#elements;
    return { far: far.value / 100, near: near.value / 100, invert: invert.checked };
  }
}

/** The heatmap on the screen. */
export class HeatmapView {
  #elements;
  #picture = null;
  #map = null;
  #steps = null;
  #place = null;

  /**
   * @param {{canvas, legend, frame, photoFrame, readout, marks}} elements
   * @param {LookControls} controls
   * @param {Object<string, Uint8Array>} colormaps
   */
  constructor(elements, controls, colormaps) {
    Object.assign(this, { controls, colormaps });
    this.#elements = elements;
    for (const frame of [elements.frame, elements.photoFrame]) followPointer(frame, (place) => this.#read(place));
    followKeys(elements.frame, () => this.#place ?? { x: 0.5, y: 0.5 }, (place) => this.#read(place));
    elements.frame.addEventListener("focus", () => {
      if (elements.frame.matches(":focus-visible")) this.#read(this.#place ?? { x: 0.5, y: 0.5 });
    });
    elements.frame.addEventListener("blur", () => this.#read(null));
  }

  get table() {
    return this.colormaps[this.controls.colormap] ?? GRAY;
  }

  /** Show a picture's depth. @param {import("../photo/picture.js").Picture} picture */
  show(picture) {
    this.#picture = picture;
    this.#map = null;
    this.#read(null);
    this.fit();
  }

  /** Fit the heatmap to the room it has; nothing happens if it fits already. */
  fit() {
    const { canvas, frame } = this.#elements;
    if (!this.#picture || !frame.clientWidth) return;
    const [width, height] = sizeOn(frame, this.#picture, LONGEST);
    if (this.#map?.width === width && this.#map.height === height) return;
    this.#map = normalized(upsample(this.#picture.depth, width, height));
    this.#steps = steps(this.#map.values);
    [canvas.width, canvas.height] = [width, height];
    this.paint();
  }

  /** Colour it anew, from what is already there. */
  paint() {
    paintLegend(this.#elements.legend, this.table, this.controls.look);
    if (this.#steps) paint(this.#elements.canvas, this.#steps, this.table, this.controls.look);
  }

  /** Nearness 0..1 at a place. */
  nearnessAt({ x, y }) {
    const { values, width, height } = this.#map;
    const column = Math.min(Math.floor(x * width), width - 1);
    return values[Math.min(Math.floor(y * height), height - 1) * width + column];
  }

  #read(place) {
    const { readout, marks } = this.#elements;
    this.#place = place ?? this.#place;
    marks.forEach((element) => mark(element, place));
    if (!place || !this.#map) return say(readout, "readoutEmpty");
    say(readout, "readout", { percent: Math.round(100 * this.nearnessAt(place)) });
  }
}
