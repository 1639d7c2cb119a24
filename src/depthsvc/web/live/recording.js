// A video of what the live view shows: the camera's picture on the left, its depth on the right.

import { context2d, newCanvas } from "../canvas.js";
import { recordingOf } from "../files/video.js";

const BITS_PER_SECOND = 4e6;
const LONGEST_MS = 600_000; // 300 MB, which a browser holds in memory

/** A recording that has begun. */
export class Recording {
  #canvas;
  #recorder;

  /**
   * @param {{width: number, height: number}} size of the camera's picture
   * @param {(video: Blob) => void} onEnd
   */
  constructor({ width, height }, onEnd) {
    this.#canvas = newCanvas(2 * width, height);
    context2d(this.#canvas).fillRect(0, 0, 2 * width, height); // Firefox records no canvas without a context
    const { recorder, video } = recordingOf(this.#canvas, BITS_PER_SECOND);
    this.#recorder = recorder;
    const limit = setTimeout(() => this.stop(), LONGEST_MS);
    video.then((blob) => {
      clearTimeout(limit);
      onEnd(blob);
    });
  }

  /**
   * Add a frame. It ends the recording if its size is another, as when a phone is turned.
   * @param {HTMLCanvasElement} photo
   * @param {HTMLCanvasElement} depth
   */
  add(photo, depth) {
    const { width, height } = photo;
    if (this.#canvas.width !== 2 * width || this.#canvas.height !== height) return this.stop();
    const context = context2d(this.#canvas);
    context.drawImage(photo, 0, 0);
    context.drawImage(depth, width, 0, width, height);
  }

  stop() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }
}
