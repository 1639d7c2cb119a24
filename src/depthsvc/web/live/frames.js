// Frames of a video, as they are sent.

import { context2d, newCanvas } from "../canvas.js";
import { fitting } from "../depth/resize.js";

/** @typedef {{canvas: HTMLCanvasElement, captured: number}} Frame and when it was captured, by performance.now() */

const LONGEST = 640; // pixels of the longer side: more than the networks see
const QUALITY = 0.8;
const MOST_MS = 1000; // from capture to screen; a time that is farther away is one of another clock

/**
 * Call back for every new picture of a video, with the time at which it was captured.
 * @param {HTMLVideoElement} video
 * @param {AbortSignal} signal ends it
 * @param {(captured: number) => void} onPicture
 */
export function eachPicture(video, signal, onPicture) {
  /** @param {(captured: number) => void} step */
  const next = (step) => {
    if (!("requestVideoFrameCallback" in video)) return requestAnimationFrame(step);
    return video.requestVideoFrameCallback((now, { captureTime = now }) => {
      step(Math.abs(now - captureTime) < MOST_MS ? captureTime : now);
    });
  };
  /** @param {number} captured */
  const step = (captured) => {
    if (signal.aborted) return;
    if (video.videoWidth) onPicture(captured);
    next(step);
  };
  next(step);
}

/** Makes frames on canvases that are used again. */
export class FramePool {
  /** @type {HTMLCanvasElement[]} */
  #free = [];

  /**
   * The current picture of a video.
   * @param {HTMLVideoElement} video
   * @param {number} captured
   * @param {number} maxPixels that a frame may have
   * @returns {Frame}
   */
  take(video, captured, maxPixels) {
    const longest = Math.min(LONGEST, Math.floor(Math.sqrt(maxPixels)));
    const [width, height] = fitting(video.videoWidth, video.videoHeight, longest);
    const canvas = this.#free.pop() ?? newCanvas(width, height);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context2d(canvas, { willReadFrequently: true }).drawImage(video, 0, 0, width, height);
    return { canvas, captured };
  }

  /**
   * Use the canvas of a frame for another one.
   * @param {Frame} frame
   */
  free({ canvas }) {
    this.#free.push(canvas);
  }
}

/**
 * A frame as a JPEG; null if the browser has no memory for it.
 * @param {Frame} frame
 * @returns {Promise<Blob | null>}
 */
export const jpegOf = ({ canvas }) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
