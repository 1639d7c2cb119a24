// Zooming and moving the pictures with the wheel, mouse, fingers, keys and buttons.

/** @import { Picture } from "../photo/picture.js" */
/** @import { Place } from "./cursor.js" */
/** @import { Region } from "./region.js" */

import { placeOf } from "./cursor.js";
import { moved, revealing, WHOLE, zoomed } from "./region.js";

/**
 * @typedef {{frames: HTMLElement[], cut: HTMLElement, closer: HTMLButtonElement, farther: HTMLButtonElement,
 *     whole: HTMLButtonElement, percent: HTMLElement}} Elements
 */

const STEP = 1.5; // of a button or key
const BEYOND = 4; // times closer than one pixel of the photo on one of the screen
const REST_MS = 150;
const MIDDLE = { x: 0.5, y: 0.5 };

/** The region that both pictures show. */
export class Zoom {
  /** @type {Region} */
  region = WHOLE;
  #elements;
  #onMove;
  #onRest;
  #width = 0; // of the photo in pixels
  #resting = 0;
  /** @type {Map<number, Place>} */
  #fingers = new Map();

  /**
   * @param {Elements} elements the first frame is as large as the others
   * @param {() => void} onMove called when the region has changed
   * @param {() => void} onRest called when it has stopped changing
   */
  constructor(elements, onMove, onRest) {
    this.#elements = elements;
    this.#onMove = onMove;
    this.#onRest = onRest;
    const { frames, cut, closer, farther, whole } = elements;
    for (const frame of frames) this.#follow(frame);
    for (const turned of [...frames, cut]) {
      turned.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    }
    closer.addEventListener("click", () => this.#zoom(STEP));
    farther.addEventListener("click", () => this.#zoom(1 / STEP));
    whole.addEventListener("click", () => this.#set(WHOLE));
  }

  /** @param {Picture} picture */
  show({ width }) {
    this.#width = width;
    this.#set(WHOLE);
  }

  /** Say how large it is now. Call this when the frames have changed their size. */
  fit() {
    const { closer, farther, whole, percent } = this.#elements;
    const pixel = this.#pixel;
    if (!pixel) return;
    percent.textContent = `${Math.round((100 * pixel) / this.region.part)} %`;
    closer.disabled = this.region.part <= this.#least;
    farther.disabled = whole.disabled = this.region.part === 1;
  }

  /**
   * Move the region to a place of the picture, if it isn't there.
   * @param {Place} place
   */
  reveal(place) {
    this.#set(revealing(this.region, place));
  }

  /** The part at which a pixel of the photo is one of the screen; 0 while nothing is shown. */
  get #pixel() {
    return this.#width && (this.#elements.frames[0].clientWidth * devicePixelRatio) / this.#width;
  }

  get #least() {
    return Math.min(this.#pixel, 1) / BEYOND;
  }

  /** @param {Region} region */
  #set(region) {
    if (region.part === this.region.part && region.x === this.region.x && region.y === this.region.y) return this.fit();
    this.region = region;
    this.fit();
    this.#onMove();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(this.#onRest, REST_MS);
  }

  /**
   * @param {number} factor
   * @param {Place} at
   */
  #zoom(factor, at = MIDDLE) {
    this.#set(zoomed(this.region, factor, at, this.#least));
  }

  /** @param {WheelEvent} event which scrolls the page where there is nothing left to zoom */
  #turn(event) {
    const [frame] = this.#elements.frames;
    const turned = this.#elements.frames.find((one) => one === event.currentTarget) ?? frame;
    if (!this.#isShown || (event.deltaY > 0 && this.region.part === 1)) return;
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 * event.deltaY : event.deltaY;
    this.#zoom(Math.exp(-pixels / (event.ctrlKey ? 150 : 500)), placeOf(event, turned));
  }

  /** Whether both pictures are shown, and not the photo beside a view of another kind. */
  get #isShown() {
    return this.#elements.frames.every((frame) => frame.clientWidth);
  }

  /** @param {HTMLElement} frame */
  #follow(frame) {
    frame.addEventListener("dblclick", (event) => {
      if (!this.#isShown) return;
      if (this.region.part < 1) this.#set(WHOLE);
      else this.#zoom(1 / Math.min(this.#pixel, 0.5), placeOf(event, frame));
    });
    frame.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
      if (ctrlKey || metaKey || altKey) return;
      if (key === "+" || key === "=") this.#zoom(STEP);
      else if (key === "-") this.#zoom(1 / STEP);
      else if (key === "0") this.#set(WHOLE);
    });
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("pointerdown", (event) => this.#fingers.set(event.pointerId, placeOf(event, frame)));
    frame.addEventListener("pointermove", (event) => this.#drag(event, frame));
    for (const end of /** @type {const} */ (["pointerup", "pointercancel", "pointerleave"])) {
      frame.addEventListener(end, ({ pointerId }) => this.#fingers.delete(pointerId));
    }
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} frame
   */
  #drag(event, frame) {
    const before = this.#fingers.get(event.pointerId);
    if (!before || !this.#isShown) return;
    const now = placeOf(event, frame);
    const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.#fingers.set(event.pointerId, now);
    const share = other ? 0.5 : 1; // of the move between two fingers
    const region = moved(this.region, share * (now.x - before.x), share * (now.y - before.y));
    if (!other) return this.#set(region);
    /** @param {Place} place */
    const spread = ({ x, y }) => Math.hypot(x - other.x, y - other.y);
    const at = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.#set(zoomed(region, spread(now) / Math.max(spread(before), 0.01), at, this.#least));
  }
}
