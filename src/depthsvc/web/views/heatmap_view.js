// The heatmap in the page, and the cursor that reads it.

/** @import { Kind } from "../depth/kind.js" */
/** @import { Nearness, Range } from "../depth/nearness.js" */
/** @import { DepthMap, Grid } from "../depth/resize.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Span } from "./contrast.js" */
/** @import { Place } from "./cursor.js" */
/** @import { Region } from "./region.js" */
/** @import { Zoom } from "./zoom.js" */
/** @import { LookControls } from "./look_controls.js" */

import { inverseDepth, METRES } from "../depth/kind.js";
import { normalized, scale } from "../depth/nearness.js";
import { upsample, upsampledPart } from "../depth/resize.js";
import { sizeOn } from "../photo/picture.js";
import { say } from "../words/i18n.js";
import { fittingLimits } from "./contrast.js";
import { followKeys, followPointer, mark } from "./cursor.js";
import { GRAY, paint, paintLegend, steps } from "./heatmap_drawing.js";
import { endsOf, metresIn } from "./kind_words.js";
import { inFrame, inPicture, transformOf } from "./region.js";

/**
 * @typedef {{canvas: HTMLCanvasElement, detail: HTMLCanvasElement, photo: HTMLElement, legend: HTMLCanvasElement, farEnd: HTMLElement, nearEnd: HTMLElement,
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
  #zoom;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {DepthMap | null} */
  #map = null;
  /** @type {Nearness | null} */
  #nearness = null;
  /** @type {Uint16Array | null} */
  #steps = null;
  /** Of the part that is drawn sharp. @type {{steps: Uint16Array, region: Region} | null} */
  #detail = null;
  /** Where the cursor was last. @type {Place | null} */
  #place = null;
  /** Where the cursor is. @type {Place | null} */
  #pointed = null;

  /**
   * @param {Elements} elements
   * @param {LookControls} controls
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   * @param {Zoom} zoom
   */
  constructor(elements, controls, colormaps, zoom) {
    this.#elements = elements;
    this.#controls = controls;
    this.#colormaps = colormaps;
    this.#zoom = zoom;
    const { frame, photoFrame } = elements;
    for (const followed of [frame, photoFrame]) {
      followPointer(followed, (place) => this.#read(place && inPicture(place, zoom.region)));
    }
    followKeys(frame, () => this.#place ?? MIDDLE, (place) => {
      zoom.reveal(place);
      this.#read(place);
    });
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
   * The limits of the colours that suit the part that is seen.
   * @returns {Span}
   */
  get fittingLimits() {
    return this.#steps ? fittingLimits(this.#steps, this.#elements.canvas.width, this.#zoom.region) : [0, 100];
  }

  /**
   * Show a picture's depth.
   * @param {Picture} picture
   */
  show(picture) {
    this.#picture = picture;
    this.#map = null;
    this.#read(null);
    this.#zoom.show(picture);
    this.move();
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
    this.sharpen();
    this.paint();
  }

  /** Colour it again, from what is already there. */
  paint() {
    const { legend, canvas, detail } = this.#elements;
    paintLegend(legend, this.table, this.look);
    if (this.#steps) paint(canvas, this.#steps, this.table, this.look);
    if (this.#detail) paint(detail, this.#detail.steps, this.table, this.look);
  }

  /** Follow the zoom with what is already drawn. */
  move() {
    const { canvas, detail, photo, frame, photoFrame } = this.#elements;
    const { region } = this.#zoom;
    for (const moved of [canvas, photo]) moved.style.transform = transformOf(region);
    if (region.part === 1) this.#detail = null;
    detail.hidden = !this.#detail;
    if (this.#detail) detail.style.transform = transformOf(region, this.#detail.region);
    for (const one of [frame, photoFrame]) {
      one.classList.toggle("zoomed", region.part < 1);
      one.classList.add("moving");
    }
    this.#mark();
  }

  /** Draw the part that is seen as sharp as the screen, once it has come to rest. */
  sharpen() {
    const { detail, canvas, frame, photoFrame } = this.#elements;
    for (const one of [frame, photoFrame]) one.classList.remove("moving");
    const { region } = this.#zoom;
    if (!this.#picture || !this.#map || !this.#nearness || region.part === 1) return;
    const [width, height] = [canvas.width, canvas.height];
    const [wide, high] = [Math.round(width / region.part), Math.round(height / region.part)];
    const [left, top] = [Math.round(region.x * wide), Math.round(region.y * high)];
    const { kind, nearest } = this.#map;
    const values = upsampledPart(this.#picture.depth, wide, high, [left, left + width], [top, top + height]);
    const nearness = inverseDepth(values, kind, nearest).map(scale(this.#nearness.range));
    this.#detail = { steps: steps(nearness), region: { x: left / wide, y: top / high, part: width / wide } };
    [detail.width, detail.height] = [width, height];
    paint(detail, this.#detail.steps, this.table, this.look);
    detail.style.transform = transformOf(region, this.#detail.region);
    detail.hidden = false;
  }

  /**
   * Say what the ends of the legend are.
   * @param {Range} range of inverse depth
   * @param {Kind} kind of the map
   */
  #nameEnds(range, kind) {
    const { farEnd, nearEnd, scaleNote } = this.#elements;
    const { far, near } = endsOf(range, kind);
    scaleNote.hidden = kind !== METRES;
    say(farEnd, ...far);
    say(nearEnd, ...near);
  }

  #mark() {
    const place = this.#pointed && inFrame(this.#pointed, this.#zoom.region);
    for (const element of this.#elements.marks) mark(element, place);
  }

  /** @param {Place | null} place of the picture */
  #read(place) {
    const { readout } = this.#elements;
    this.#place = place ?? this.#place;
    this.#pointed = place;
    this.#mark();
    if (!place || !this.#map || !this.#nearness) return say(readout, "readoutEmpty");
    if (this.#map.kind === METRES) return say(readout, ...metresIn("readoutMetres", valueAt(this.#map, place)));
    say(readout, "readout", { percent: Math.round(100 * valueAt(this.#nearness, place)) });
  }
}

/**
 * @param {Grid} grid
 * @param {Place} place
 */
function valueAt({ values, width, height }, { x, y }) {
  const column = Math.min(Math.floor(x * width), width - 1);
  return values[Math.min(Math.floor(y * height), height - 1) * width + column];
}
