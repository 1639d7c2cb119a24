// Pictures and videos of the live view as files.

/** @import { DepthCanvas } from "./depth_canvas.js" */

import { context2d, newCanvas } from "../canvas.js";
import { element } from "../elements.js";
import { save } from "../files/downloads.js";
import { recordedFormat, recordedType } from "../files/video.js";
import { hush, say } from "../words/i18n.js";
import { Recording } from "./recording.js";

const depthButton = element("live-save-depth", HTMLButtonElement);
const pairButton = element("live-save-pair", HTMLButtonElement);
const recordButton = element("live-record", HTMLButtonElement);
const recordWords = element("live-record-words");
const saved = element("live-saved");

/** The buttons that save what is shown, each frame with its own depth. */
export class LiveSaving {
  #depth;
  /** @type {HTMLCanvasElement | null} */
  #photo = null;
  /** @type {Recording | null} */
  #recording = null;

  /** @param {DepthCanvas} depth */
  constructor(depth) {
    this.#depth = depth;
    recordButton.hidden = !recordedType();
    say(element("live-record-kind"), "liveRecordKind", { format: recordedFormat() });
    depthButton.addEventListener("click", () => this.#snap("-depth.png", (photo) => this.#enlarged(photo)));
    pairButton.addEventListener("click", () => this.#snap("-pair.png", (photo) => this.#pair(photo)));
    recordButton.addEventListener("click", () => (this.#recording ? this.#recording.stop() : this.#record()));
    this.#offer(false);
  }

  /**
   * Take what is shown now.
   * @param {HTMLCanvasElement} photo
   * @param {HTMLCanvasElement} depth
   */
  take(photo, depth) {
    this.#photo = photo;
    this.#recording?.add(photo, depth);
    this.#offer(true);
  }

  /** Save a recording that has begun; there is nothing more to come. */
  stop() {
    this.#recording?.stop();
    recordButton.disabled = true;
  }

  /** @param {boolean} isOffered */
  #offer(isOffered) {
    for (const button of [depthButton, pairButton, recordButton]) button.disabled = !isOffered;
  }

  /** @param {HTMLCanvasElement} photo */
  #enlarged({ width, height }) {
    return this.#depth.enlarged(width, height);
  }

  /** @param {HTMLCanvasElement} photo */
  #pair(photo) {
    const { width, height } = photo;
    const both = newCanvas(2 * width, height);
    const context = context2d(both);
    context.drawImage(photo, 0, 0);
    context.drawImage(this.#enlarged(photo), width, 0);
    return both;
  }

  /**
   * @param {string} suffix
   * @param {(photo: HTMLCanvasElement) => HTMLCanvasElement} draw
   */
  #snap(suffix, draw) {
    if (!this.#photo) return;
    draw(this.#photo).toBlob((picture) => (picture ? finish(picture, suffix) : say(saved, "saveFailed")), "image/png");
  }

  #record() {
    if (!this.#photo) return;
    this.#recording = new Recording(this.#photo, (video) => {
      this.#recording = null;
      say(recordWords, "liveRecord");
      recordButton.classList.remove("recording");
      finish(video, `.${recordedFormat().toLowerCase()}`);
    });
    say(recordWords, "liveRecordStop");
    recordButton.classList.add("recording");
    hush(saved);
  }
}

/**
 * Save a file that is named by the time.
 * @param {Blob} blob
 * @param {string} suffix with the extension
 */
function finish(blob, suffix) {
  const time = new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  const name = `live-${time}${suffix}`;
  save(blob, name);
  say(saved, "saved", { name });
}
