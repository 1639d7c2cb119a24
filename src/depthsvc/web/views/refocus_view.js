// The refocused photo in the page: made when it is first looked at.

import { Bokeh } from "./refocus_drawing.js";
import { followKeys, followPress, mark } from "./cursor.js";
import { normalized } from "../depth/nearness.js";
import { sizeOn } from "../photo/picture.js";
import { upsample } from "../depth/resize.js";

const LONGEST = 1280; // pixels of the refocused photo

/** The nearest place in the middle of a photo, where its subject mostly is; seen coarsely, so that no fringe wins. */
function subject(depth) {
  const side = 16;
  const { values } = upsample(depth, side, side);
  let best = { x: 0.5, y: 0.5, value: -1 };
  for (let y = side / 4; y < 0.7 * side; y++) {
    for (let x = side / 4; x < 0.75 * side; x++) {
      const value = values[y * side + x];
      if (value > best.value) best = { x: (x + 0.5) / side, y: (y + 0.5) / side, value };
    }
  }
  return best;
}

/** The refocused view of the present picture. */
export class RefocusView {
  #elements;
  #picture = null;
  #shown = null;
  #bokeh = null;
  #place = { x: 0.5, y: 0.5 };

  /** @param {{canvas, frame, focus, missing, strength}} elements */
  constructor(elements) {
    this.#elements = elements;
    const { frame, strength } = elements;
    const refocus = (place) => {
      this.#place = place;
      this.#draw();
    };
    followPress(frame, refocus);
    followKeys(frame, () => this.#place, refocus);
    strength.addEventListener("input", () => {
      strength.nextElementSibling.textContent = `${strength.value} %`;
      this.#draw();
    });
  }

  /** Whether there is something to save. */
  get drawn() {
    return this.#shown !== null && this.#shown === this.#picture;
  }

  /** Have a picture ready to be shown. */
  take(picture) {
    this.#picture = picture;
    this.#place = subject(picture.depth);
  }

  /** Show the picture; to be called whenever the view has become visible or has another size. */
  fit() {
    const { canvas, frame } = this.#elements;
    if (!this.#picture || !frame.clientWidth || !this.#ready()) return;
    const [width, height] = sizeOn(frame, this.#picture, LONGEST);
    if (!this.drawn || canvas.width !== width || canvas.height !== height) this.#load(width, height);
    this.#draw();
  }

  /** What is sharp, as parts 0..1 of width and height, and how strongly the rest is blurred, 0..1. */
  get wanted() {
    return { ...this.#place, strength: this.#elements.strength.value / 100 };
  }

  #load(width, height) {
    const { canvas } = this.#elements;
    const { depth } = this.#picture;
    [canvas.width, canvas.height] = [width, height];
    const nearness = normalized(upsample(depth, width, height));
    this.#bokeh.load(this.#picture.drawn(width, height), nearness, width / depth.width);
    this.#shown = this.#picture;
  }

  #draw() {
    mark(this.#elements.focus, this.#place);
    if (!this.drawn) return;
    const focus = this.#bokeh.nearnessAt(this.#place.x, this.#place.y);
    this.#bokeh.draw(focus, this.wanted.strength);
  }

  #ready() {
    const { canvas, focus, missing } = this.#elements;
    try {
      this.#bokeh ??= new Bokeh(canvas);
    } catch {
      focus.hidden = true;
      missing.hidden = false;
    }
    return this.#bokeh !== null;
  }
}
