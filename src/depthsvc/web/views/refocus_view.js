// The refocused photo in the page, made when it is first looked at.

/** @import { NetworkMap } from "../depth/resize.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Place } from "./cursor.js" */

import { normalized } from "../depth/nearness.js";
import { upsample } from "../depth/resize.js";
import { sizeOn } from "../photo/picture.js";
import { followKeys, followPress, mark } from "./cursor.js";
import { Bokeh } from "./refocus_drawing.js";
import { showPercent } from "./slider.js";

/**
 * @typedef {{canvas: HTMLCanvasElement, frame: HTMLElement, focus: HTMLElement, missing: HTMLElement,
 *     strength: HTMLInputElement}} Elements
 */

const LONGEST = 1280; // pixels of the refocused photo

/**
 * The nearest place in the middle of a photo, where its subject usually is; seen coarsely, so that no fringe wins.
 * @param {NetworkMap} depth
 * @returns {Place}
 */
function subject(depth) {
  const side = 16;
  const { values } = normalized(upsample(depth, side, side));
  let best = { x: 0.5, y: 0.5, value: -1 };
  for (let y = side / 4; y < 0.7 * side; y++) {
    for (let x = side / 4; x < 0.75 * side; x++) {
      const value = values[y * side + x];
      if (value > best.value) best = { x: (x + 0.5) / side, y: (y + 0.5) / side, value };
    }
  }
  return best;
}

/** The refocused view of the current picture. */
export class RefocusView {
  #elements;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {Picture | null} */
  #shown = null;
  /** @type {Bokeh | null} */
  #bokeh = null;
  /** @type {Place} */
  #place = { x: 0.5, y: 0.5 };

  /** @param {Elements} elements */
  constructor(elements) {
    this.#elements = elements;
    const { frame, strength } = elements;
    /** @param {Place} place */
    const refocus = (place) => {
      this.#place = place;
      this.#draw();
    };
    followPress(frame, refocus);
    followKeys(frame, () => this.#place, refocus);
    strength.addEventListener("input", () => {
      showPercent(strength);
      this.#draw();
    });
  }

  /**
   * Have a picture ready to be shown.
   * @param {Picture} picture
   */
  take(picture) {
    this.#picture = picture;
    this.#place = subject(picture.depth);
  }

  /** Show the picture. Call this whenever the view has become visible or changed its size. */
  fit() {
    const { canvas, frame } = this.#elements;
    const picture = this.#picture;
    if (!picture || !frame.clientWidth) return;
    const bokeh = this.#ready();
    if (!bokeh) return;
    const [width, height] = sizeOn(frame, picture, LONGEST);
    if (this.#shown !== picture || canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
      const nearness = normalized(upsample(picture.depth, width, height));
      bokeh.load(picture.drawn(width, height), nearness, width / picture.depth.width);
      this.#shown = picture;
    }
    this.#draw();
  }

  /** What is sharp and how strongly the rest is blurred: fractions 0..1. */
  get wanted() {
    return { ...this.#place, strength: this.#elements.strength.valueAsNumber / 100 };
  }

  #draw() {
    mark(this.#elements.focus, this.#place);
    if (!this.#bokeh || this.#shown !== this.#picture) return;
    this.#bokeh.draw(this.#bokeh.nearnessAt(this.#place), this.wanted.strength);
  }

  /** The drawing, or null without WebGL. */
  #ready() {
    const { canvas, focus, missing } = this.#elements;
    try {
      this.#bokeh ??= new Bokeh(canvas, () => {
        this.#shown = null;
        this.fit();
      });
    } catch {
      focus.hidden = true;
      missing.hidden = false;
    }
    return this.#bokeh;
  }
}
