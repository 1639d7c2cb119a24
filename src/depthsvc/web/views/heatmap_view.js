// The heatmap in the page, and the cursor that reads it.

/** @import { Kind } from "../depth/kind.js" */
/** @import { Nearness, Range } from "../depth/nearness.js" */
/** @import { DepthMap, Grid } from "../depth/resize.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Place } from "./cursor.js" */
/** @import { Key } from "../words/i18n.js" */
/** @import { LookControls } from "./look_controls.js" */

import { isKnown, METRES } from "../depth/kind.js";
import { normalized } from "../depth/nearness.js";
import { upsample } from "../depth/resize.js";
import { sizeOn } from "../photo/picture.js";
import { distance } from "../words/distance.js";
import { say } from "../words/i18n.js";
import { followKeys, followPointer, mark } from "./cursor.js";
import { GRAY, paint, paintLegend, steps } from "./heatmap_drawing.js";

/**
 * @typedef {{canvas: HTMLCanvasElement, legend: HTMLCanvasElement, farEnd: HTMLElement, nearEnd: HTMLElement,
 *     scaleNote: HTMLElement, frame: HTMLElement, photoFrame: HTMLElement, readout: HTMLElement,
 *     marks: HTMLElement[]}} Elements
 */

const LONGEST = 1600; // pixels of the heatmap on the screen
const MIDDLE = { x: 0.5, y: 0.5 };

/** The heatmap on the screen. */
export class HeatmapView {
  #elements;
  #controls;
  #colormaps;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {DepthMap | null} */
  #map = null;
  /** @type {Nearness | null} */
  #nearness = null;
  /** @type {Uint16Array | null} */
  #steps = null;
  /** @type {Place | null} */
  #place = null;

  /**
   * @param {Elements} elements
   * @param {LookControls} controls
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   */
  constructor(elements, controls, colormaps) {
    this.#elements = elements;
    this.#controls = controls;
    this.#colormaps = colormaps;
    const { frame, photoFrame } = elements;
    for (const followed of [frame, photoFrame]) followPointer(followed, (place) => this.#read(place));
    followKeys(frame, () => this.#place ?? MIDDLE, (place) => this.#read(place));
    frame.addEventListener("focus", () => {
      if (frame.matches(":focus-visible")) this.#read(this.#place ?? MIDDLE);
    });
    frame.addEventListener("blur", () => this.#read(null));
  }

  /** The chosen colours: 256 RGB triples. */
  get table() {
    return this.#colormaps[this.#controls.colormap] ?? GRAY;
  }

  get look() {
    return this.#controls.look;
  }

  /**
   * Show a picture's depth.
   * @param {Picture} picture
   */
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
    this.#map = upsample(this.#picture.depth, width, height);
    this.#nearness = normalized(this.#map);
    this.#steps = steps(this.#nearness.values);
    this.#nameEnds(this.#nearness.range, this.#map.kind);
    [canvas.width, canvas.height] = [width, height];
    this.paint();
  }

  /** Colour it again, from what is already there. */
  paint() {
    paintLegend(this.#elements.legend, this.table, this.look);
    if (this.#steps) paint(this.#elements.canvas, this.#steps, this.table, this.look);
  }

  /**
   * Say what the ends of the legend are.
   * @param {Range} range of inverse depth
   * @param {Kind} kind of the map
   */
  #nameEnds([low, high], kind) {
    const { farEnd, nearEnd, scaleNote } = this.#elements;
    scaleNote.hidden = kind !== METRES;
    if (kind === METRES) {
      sayMetres(farEnd, "farEndMetres", 1 / low);
      sayMetres(nearEnd, "nearEndMetres", 1 / high);
    } else {
      say(farEnd, "farEnd");
      say(nearEnd, "nearEnd");
    }
  }

  /** @param {Place | null} place */
  #read(place) {
    const { readout, marks } = this.#elements;
    this.#place = place ?? this.#place;
    marks.forEach((element) => mark(element, place));
    if (!place || !this.#map || !this.#nearness) return say(readout, "readoutEmpty");
    if (this.#map.kind === METRES) return sayMetres(readout, "readoutMetres", valueAt(this.#map, place));
    say(readout, "readout", { percent: Math.round(100 * valueAt(this.#nearness, place)) });
  }
}

/**
 * @param {HTMLElement} element
 * @param {Key} key of words with `{metres}`
 * @param {number} metres
 */
function sayMetres(element, key, metres) {
  if (isKnown(metres)) say(element, key, { metres: distance(metres) });
  else say(element, "unknownDistance");
}

/**
 * @param {Grid} grid
 * @param {Place} place
 */
function valueAt({ values, width, height }, { x, y }) {
  const column = Math.min(Math.floor(x * width), width - 1);
  return values[Math.min(Math.floor(y * height), height - 1) * width + column];
}
