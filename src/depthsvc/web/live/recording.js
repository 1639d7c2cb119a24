// A video of what the live view shows: the camera's picture on the left, its depth on the right.

import { context2d, newCanvas } from "../canvas.js";

const TYPES = ["video/webm;codecs=vp8", "video/webm", "video/mp4"]; // VP8 costs least; Safari may have MP4 alone
const BITS_PER_SECOND = 4e6;
const LONGEST_MS = 600_000; // 300 MB, which a browser holds in memory

/** The type of video that this browser records; empty if it records none. */
export const recordedType = () => {
  const canRecord = "MediaRecorder" in window && "captureStream" in HTMLCanvasElement.prototype;
  return (canRecord && TYPES.find((type) => MediaRecorder.isTypeSupported(type))) || "";
};

/** The name of its format. */
export const recordedFormat = () => (recordedType().startsWith("video/mp4") ? "MP4" : "WebM");

/** A recording that has begun. */
export class Recording {
  #canvas;
  #recorder;
  /** @type {Blob[]} */
  #parts = [];

  /**
   * @param {{width: number, height: number}} size of the camera's picture
   * @param {(video: Blob) => void} onEnd
   */
  constructor({ width, height }, onEnd) {
    this.#canvas = newCanvas(2 * width, height);
    context2d(this.#canvas).fillRect(0, 0, 2 * width, height); // Firefox records no canvas without a context
    const options = { mimeType: recordedType(), videoBitsPerSecond: BITS_PER_SECOND };
    this.#recorder = new MediaRecorder(this.#canvas.captureStream(), options);
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#parts.push(data));
    const limit = setTimeout(() => this.stop(), LONGEST_MS);
    this.#recorder.addEventListener("stop", () => {
      clearTimeout(limit);
      onEnd(new Blob(this.#parts, { type: options.mimeType.split(";")[0] }));
    });
    this.#recorder.start(1000);
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
