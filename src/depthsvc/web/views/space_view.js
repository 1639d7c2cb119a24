// The 3-D view in the page, made when it is first looked at.

/** @import { Distances } from "../depth/pointcloud.js" */
/** @import { DepthMap } from "../depth/resize.js" */
/** @import { Picture } from "../photo/picture.js" */

import { normalized } from "../depth/nearness.js";
import { distances, fieldOfView, pointCloud } from "../depth/pointcloud.js";
import { fitting, upsample } from "../depth/resize.js";
import { sizeOn } from "../photo/picture.js";
import { Scene } from "./space_drawing.js";
import { steer } from "./space_steering.js";

/**
 * @typedef {{canvas: HTMLCanvasElement, frame: HTMLElement, missing: HTMLElement, closer: HTMLButtonElement,
 *     farther: HTMLButtonElement, reset: HTMLButtonElement}} Elements
 */

const LONGEST = 1600; // pixels of the view
const GRID = 720; // points along the photo's longer side
const STEEP = 0.05; // of the depth: a larger step between next-but-one points is an edge, not a surface

/**
 * Distances without the soft edges between near and far things, where the network's small grid mixes the two.
 * @param {DepthMap} map
 * @returns {Distances}
 */
function distancesWithoutEdges(map) {
  const whole = distances(map);
  const { values, width, height, constant } = normalized(map);
  if (constant) return whole;
  const kept = whole.values.slice();
  /**
   * @param {number} at
   * @param {number} other
   */
  const steep = (at, other) => Math.abs(values[at] - values[other]) > STEEP * (values[at] + 1 / 9);
  for (let y = 2; y < height - 2; y++) {
    for (let at = y * width + 2; at < (y + 1) * width - 2; at++) {
      if (steep(at - 1, at + 1)) kept.fill(0, at - 2, at + 3);
      if (steep(at - width, at + width)) for (let row = -2; row <= 2; row++) kept[at + row * width] = 0;
    }
  }
  return { ...whole, values: kept };
}

/** The 3-D view of the current picture. */
export class SpaceView {
  #elements;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {Picture | null} */
  #shown = null;
  /** @type {Scene | null} */
  #scene = null;
  #swinging = new AbortController();

  /** @param {Elements} elements */
  constructor(elements) {
    this.#elements = elements;
  }

  /**
   * Have a picture ready to be shown.
   * @param {Picture} picture
   */
  take(picture) {
    this.#picture = picture;
  }

  /** Show the picture. Call this whenever the view has become visible or changed its size. */
  fit() {
    const { canvas, frame } = this.#elements;
    const picture = this.#picture;
    if (!picture || !frame.clientWidth) return;
    this.#scene ??= this.#made();
    if (!this.#scene) return;
    [canvas.width, canvas.height] = sizeOn(frame, picture, LONGEST);
    if (this.#shown !== picture) this.#load(this.#scene, picture);
    this.#scene.draw();
  }

  /**
   * @param {Scene} scene
   * @param {Picture} picture
   */
  #load(scene, picture) {
    const [width, height] = fitting(picture.width, picture.height, GRID);
    const distances = distancesWithoutEdges(upsample(picture.depth, width, height));
    scene.reset();
    scene.load(pointCloud(distances, picture.pixelsAt(width, height), fieldOfView(picture.depth)));
    this.#shown = picture;
    this.#swinging.abort();
    this.#swinging = new AbortController();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) scene.swing(this.#swinging.signal);
  }

  /** The scene with its controls, or null without WebGL. */
  #made() {
    const { canvas, frame, missing, closer, farther, reset } = this.#elements;
    let scene;
    try {
      scene = new Scene(canvas);
    } catch {
      missing.hidden = false;
      return null;
    }
    const stopSwinging = () => this.#swinging.abort();
    steer(frame, scene, stopSwinging);
    for (const button of [closer, farther, reset]) button.addEventListener("click", stopSwinging);
    closer.addEventListener("click", () => scene.zoom(1.25));
    farther.addEventListener("click", () => scene.zoom(1 / 1.25));
    reset.addEventListener("click", () => scene.reset());
    return scene;
  }
}
