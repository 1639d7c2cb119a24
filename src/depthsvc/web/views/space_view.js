// The 3-D view in the page, made when it is first looked at.

/** @import { Layers } from "../depth/layers.js" */
/** @import { Relief } from "../depth/relief.js" */
/** @import { Picture } from "../photo/picture.js" */
/** @import { Pose } from "./space_camera.js" */

import { fieldOfView } from "../depth/pointcloud.js";
import { recordingOf } from "../files/video.js";
import { sizeOn } from "../photo/picture.js";
import { COVER, projection, widestTurn } from "./space_camera.js";
import { Scene } from "./space_drawing.js";
import { Motion, SWAY_MS } from "./space_motion.js";
import { steer } from "./space_steering.js";
import { say } from "../words/i18n.js";

/**
 * @typedef {{canvas: HTMLCanvasElement, frame: HTMLElement, missing: HTMLElement, closer: HTMLButtonElement,
 *     farther: HTMLButtonElement, reset: HTMLButtonElement, sway: HTMLButtonElement, fov: HTMLInputElement}} Elements
 */

/** @typedef {{picture: Picture, relief: Relief, motion: Motion}} Shown */

const LONGEST = 1600; // pixels of the view and of the photo in it
const VERTICES = 145_000;
const SPREAD = 1.3; // pixels of its own grid to either side over which a network spreads a step
const FIELDS_OF_VIEW = [0.5, 1.25]; // from the least to the most, of that with which the photo was taken
const REVEALING = 25; // how fast what was hidden shows as the camera moves
const BITS_PER_SECOND = 8e6;

/** The 3-D view of the current picture. */
export class SpaceView {
  #elements;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {Picture | null} */
  #wanted = null;
  /** @type {Shown | null} */
  #shown = null;
  /** @type {Scene | null} */
  #scene = null;
  /** @type {Worker | null} */
  #idle = null;
  /** @type {Worker | null} */
  #busy = null;
  #frame = 0;
  #isRecording = false;
  #isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;

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
    if (!this.#isRecording) [canvas.width, canvas.height] = sizeOn(frame, picture, LONGEST);
    if (this.#wanted !== picture) this.#load(this.#scene, picture).catch((error) => this.#fail(error, picture));
    this.#draw();
  }

  /**
   * @param {Scene} scene
   * @param {Picture} picture
   */
  async #load(scene, picture) {
    const { frame, fov, sway } = this.#elements;
    this.#wanted = picture;
    this.#shown = null;
    frame.setAttribute("aria-busy", "true");
    const { relief: deep, layers, photo } = await this.#layered(picture);
    if (this.#wanted !== picture) return;
    const taken = fieldOfView(picture.depth);
    [fov.min, fov.max] = FIELDS_OF_VIEW.map((times) => String(Math.round(times * taken)));
    setDegrees(fov, taken);
    const isSwaying = sway.getAttribute("aria-pressed") === "true";
    const motion = new Motion(widestTurn(deep, taken), deep.pivot, this.#isCalm, isSwaying);
    await scene.load({ layers, photo, low: deep.low, high: deep.high });
    if (this.#wanted !== picture) return;
    this.#shown = { picture, relief: deep, motion };
    this.#elements.missing.hidden = true;
    frame.removeAttribute("aria-busy");
    this.#draw();
  }

  /**
   * Say that a picture has no 3-D view.
   * @param {unknown} error
   * @param {Picture} picture
   */
  #fail(error, picture) {
    console.error(error);
    if (this.#wanted !== picture) return;
    const { frame, missing } = this.#elements;
    frame.removeAttribute("aria-busy");
    say(missing, "noSpace");
    missing.hidden = false;
  }

  /**
   * The surfaces of a picture, made by a worker.
   * @param {Picture} picture
   * @returns {Promise<{relief: Relief, layers: Layers, photo: ImageBitmap}>}
   */
  #layered({ seen, depth, width, height }) {
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    const size = scaled(scale, width, height, 1);
    const grid = scaled(Math.min(1, Math.sqrt(VERTICES / (size.width * size.height))), size.width, size.height, 2);
    const half = Math.max(2, Math.round((SPREAD * grid.width) / depth.width));
    this.#busy?.terminate();
    const worker = this.#idle ?? new Worker(new URL("../depth/layers_worker.js", import.meta.url), { type: "module" });
    [this.#idle, this.#busy] = [null, worker];
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        [this.#idle, this.#busy] = [worker, null]; // to end it takes longer than to keep it
        resolve(data);
      };
      worker.onerror = reject;
      worker.postMessage({ seen, depth, size, grid, half });
    });
  }

  /** Draw frames as long as something moves and is seen. */
  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame((now) => {
      const shown = this.#shown;
      if (!shown || this.#isRecording || !this.#elements.frame.clientWidth) return;
      if (shown.motion.step(now)) this.#draw();
      this.#show(shown, shown.motion.pose);
    });
  }

  /**
   * @param {Shown} shown
   * @param {Pose} pose
   */
  #show({ picture, relief }, pose) {
    const taken = fieldOfView(picture.depth);
    const fov = this.#elements.fov.valueAsNumber;
    const revealed = REVEALING * (Math.hypot(pose.yaw, pose.pitch) + Math.abs(Math.log(pose.zoom)) + Math.abs(taken - fov) / 90);
    this.#scene?.draw(projection(pose, picture, taken, fov, relief.low), Math.min(revealed, 1));
  }

  /**
   * One sway as a video that can be repeated without a seam. It takes as long as it lasts.
   * @returns {Promise<Blob>}
   */
  async video() {
    const shown = this.#shown;
    if (!shown) throw new Error("There is nothing to record yet.");
    this.#isRecording = true;
    const { recorder, video } = recordingOf(this.#elements.canvas, BITS_PER_SECOND);
    const began = performance.now();
    /** @param {number} now */
    const step = (now) => {
      const phase = Math.max(now - began, 0) / SWAY_MS;
      if (phase >= 1 || this.#shown !== shown) return recorder.stop();
      this.#show(shown, shown.motion.swayed(phase));
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
    return video.finally(() => {
      this.#isRecording = false;
      this.fit();
    });
  }

  /** The scene with its controls, or null without WebGL. */
  #made() {
    const { canvas, frame, missing, closer, farther, reset, sway, fov } = this.#elements;
    let scene;
    try {
      scene = new Scene(canvas, () => this.#draw());
    } catch {
      missing.hidden = false;
      return null;
    }
    /** @param {(shown: Shown) => void} change */
    const move = (change) => {
      if (!this.#shown) return;
      this.#shown.motion.touch();
      change(this.#shown);
      this.#draw();
    };
    const steered = {
      touch: () => move(() => {}),
      turn: (/** @type {number} */ right, /** @type {number} */ up) => move(({ motion }) => motion.turn(right, up)),
      zoom: (/** @type {number} */ factor) => move(({ motion }) => motion.zoom(factor)),
      reset: () => move(({ motion }) => motion.reset()),
      look: (/** @type {number} */ x, /** @type {number} */ y) => move((shown) => shown.motion.look(placeAt(shown, x, y))),
    };
    steer(frame, steered);
    closer.addEventListener("click", () => steered.zoom(1.25));
    farther.addEventListener("click", () => steered.zoom(1 / 1.25));
    reset.addEventListener("click", () => {
      if (this.#shown) setDegrees(fov, fieldOfView(this.#shown.picture.depth));
      steered.reset();
    });
    fov.addEventListener("input", () => {
      setDegrees(fov, fov.valueAsNumber);
      steered.touch();
    });
    sway.setAttribute("aria-pressed", String(!this.#isCalm));
    sway.addEventListener("click", () => {
      const isSwaying = sway.getAttribute("aria-pressed") !== "true";
      sway.setAttribute("aria-pressed", String(isSwaying));
      if (this.#shown) this.#shown.motion.isSwaying = isSwaying;
      this.#draw();
    });
    return scene;
  }
}

/**
 * A size in whole pixels.
 * @param {number} scale
 * @param {number} width
 * @param {number} height
 * @param {number} least
 */
const scaled = (scale, width, height, least) => ({
  width: Math.max(least, Math.round(scale * width)),
  height: Math.max(least, Math.round(scale * height)),
});

/**
 * Set a slider to an angle, and show it in the output that follows it.
 * @param {HTMLInputElement} slider
 * @param {number} degrees
 */
function setDegrees(slider, degrees) {
  slider.value = String(degrees);
  const output = slider.nextElementSibling;
  if (output) output.textContent = `${slider.value}°`;
}

/**
 * The place of the whole picture that is seen at a place of the frame, and its inverse depth.
 * @param {Shown} shown
 * @param {number} right fraction of the frame's width
 * @param {number} down fraction of its height
 */
function placeAt({ relief: { nearness, low, high } }, right, down) {
  const [x, y] = [0.5 + (right - 0.5) / COVER, 0.5 + (down - 0.5) / COVER];
  const { values, width, height } = nearness;
  const value = values[Math.floor(y * height) * width + Math.floor(x * width)];
  return { x, y, pivot: low + (high - low) * value };
}
