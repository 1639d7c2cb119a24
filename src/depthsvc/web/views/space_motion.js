// How the camera of the 3-D view moves: after a person's hand, bounded and eased, and by itself in a gentle sway.

/** @import { Pose } from "./space_camera.js" */

import { clamp, eased, inside, MOST_ZOOM } from "./space_camera.js";

const SWAY = { share: 0.42, nod: 0.3, push: 0.035 }; // of the widest turn; of that, up and down; of the zoom
const FOLLOW_MS = 130; // in which two thirds of a way are gone
const REST_MS = 5000; // untouched, until the sway goes on
const RISE_MS = 1200;
const BEYOND = 1.6; // of the widest turn, before it is eased
const CLOSER = 2.2; // zoom of a closer look
const STILL = 1e-4;

/** How long one sway takes, in milliseconds. */
export const SWAY_MS = 6000;

/** The motion of one camera. */
export class Motion {
  #limit;
  #pivot;
  #isCalm;
  /** @type {Pose} */
  #target;
  /** @type {Pose} */
  #shown;
  #isSwaying;
  #swayed = 0; // its share that shows, 0..1
  #phase = 0;
  #touched = -Infinity;
  #before = 0;

  /**
   * @param {number} limit the widest turn in radians
   * @param {number} pivot inverse depth
   * @param {boolean} isCalm whether a person wants no motion but that of the own hand
   * @param {boolean} isSwaying
   */
  constructor(limit, pivot, isCalm, isSwaying) {
    this.#limit = limit;
    this.#pivot = pivot;
    this.#isCalm = isCalm;
    this.#isSwaying = isSwaying;
    this.#target = this.#first;
    this.#shown = this.#first;
  }

  /** @returns {Pose} */
  get #first() {
    return { yaw: 0, pitch: 0, zoom: 1, x: 0.5, y: 0.5, pivot: this.#pivot };
  }

  /**
   * Turn by parts of the widest turn: what is in front of the pivot moves this way, what is behind it the other.
   * @param {number} right
   * @param {number} up
   */
  turn(right, up) {
    const most = BEYOND * this.#limit;
    this.#target.yaw = clamp(this.#target.yaw - right * this.#limit, -most, most);
    this.#target.pitch = clamp(this.#target.pitch - up * this.#limit, -most, most);
  }

  /**
   * Come closer.
   * @param {number} factor
   */
  zoom(factor) {
    this.#aim(clamp(this.#target.zoom * factor, 1, MOST_ZOOM), this.#target.x, this.#target.y);
    if (this.#target.zoom === 1) this.#target.pivot = this.#pivot;
  }

  /**
   * Look closer at a place, or again at the whole.
   * @param {{x: number, y: number, pivot: number}} place as of a pose
   */
  look({ x, y, pivot }) {
    if (this.#target.zoom > 1) return this.zoom(1 / MOST_ZOOM);
    this.#aim(CLOSER, x, y);
    this.#target.pivot = pivot;
  }

  /**
   * @param {number} zoom
   * @param {number} x
   * @param {number} y
   */
  #aim(zoom, x, y) {
    Object.assign(this.#target, { zoom, x: inside(x, zoom), y: inside(y, zoom) });
  }

  /** Return to the first view. */
  reset() {
    this.#target = this.#first;
  }

  /** A person takes over: the sway rests. */
  touch() {
    this.#touched = performance.now();
  }

  get isSwaying() {
    return this.#isSwaying;
  }

  set isSwaying(isSwaying) {
    this.#isSwaying = isSwaying;
    this.#touched = -Infinity;
  }

  /**
   * Go on to a time, and say whether there is more to come.
   * @param {number} now milliseconds
   */
  step(now) {
    const passed = clamp(now - this.#before, 0, 100);
    this.#before = now;
    const share = this.#isCalm ? 1 : 1 - Math.exp(-passed / FOLLOW_MS);
    let most = 0;
    for (const name of /** @type {(keyof Pose)[]} */ (Object.keys(this.#shown))) {
      const rest = this.#target[name] - this.#shown[name];
      this.#shown[name] += Math.abs(rest) < STILL ? rest : share * rest;
      most = Math.max(most, Math.abs(this.#target[name] - this.#shown[name]));
    }
    const wanted = this.#isSwaying && now - this.#touched > REST_MS ? 1 : 0;
    this.#swayed = clamp(this.#swayed + (Math.sign(wanted - this.#swayed) * passed) / RISE_MS, 0, 1);
    if (this.#swayed > 0) this.#phase = (this.#phase + passed / SWAY_MS) % 1;
    return most > 0 || this.#swayed > 0 || this.#isSwaying;
  }

  /** The pose to be drawn now. */
  get pose() {
    return this.#swaying(this.#phase, (3 - 2 * this.#swayed) * this.#swayed ** 2, this.#shown);
  }

  /**
   * The pose at a part of a sway about the first view, 0..1.
   * @param {number} phase
   */
  swayed(phase) {
    return this.#swaying(phase, 1, this.#first);
  }

  /**
   * @param {number} phase 0..1
   * @param {number} amount 0..1
   * @param {Pose} pose
   * @returns {Pose}
   */
  #swaying(phase, amount, pose) {
    const [angle, size] = [2 * Math.PI * phase, amount * SWAY.share * this.#limit];
    const yaw = eased(pose.yaw + size * Math.sin(angle), this.#limit);
    const pitch = eased(pose.pitch + size * SWAY.nod * Math.cos(angle), this.#limit);
    return { ...pose, yaw, pitch, zoom: pose.zoom * (1 + amount * SWAY.push * (0.5 - 0.5 * Math.cos(angle))) };
  }
}
