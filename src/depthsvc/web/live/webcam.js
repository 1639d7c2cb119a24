// The camera of the live view: a phone's rear camera if there is one, and the others in turn.

import { Problem } from "../service/api.js";

const SIZE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
/** @type {MediaTrackConstraints} */
const REAR = { ...SIZE, facingMode: { ideal: "environment" } };
/** @type {Record<string, string>} */
const CODES = { NotAllowedError: "cameraDenied", SecurityError: "cameraDenied", NotReadableError: "cameraBusy" };

/** A camera shown in a video element. */
export class Webcam {
  #video;
  #onEnd;
  /** @type {MediaTrackConstraints} */
  #wanted = REAR;
  /** @type {MediaStream | null} */
  #stream = null;
  #opening = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => void} onEnd called when the camera stops by itself: it was unplugged, or its permission withdrawn
   */
  constructor(video, onEnd) {
    this.#video = video;
    this.#onEnd = onEnd;
  }

  /**
   * Turn the camera on.
   * @returns {Promise<boolean>} whether it is on: it was not stopped or switched in the meantime
   * @throws {Problem} with one of the page's codes for a camera that cannot be used
   */
  async open() {
    this.stop();
    const opening = this.#opening;
    if (!navigator.mediaDevices?.getUserMedia) {
      throw problem(isSecureContext ? "cameraMissing" : "cameraInsecure");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ video: this.#wanted }).catch((error) => {
      this.#wanted = REAR;
      throw problem((error instanceof DOMException && CODES[error.name]) || "cameraMissing");
    });
    if (opening !== this.#opening) {
      end(stream);
      return false;
    }
    this.#stream = stream;
    this.#video.srcObject = stream;
    // Not by the attribute `autoplay`: Chromium pauses such a video while it is scrolled off the screen.
    this.#video.play().catch(() => {}); // it is stopped before it plays
    for (const track of stream.getTracks()) track.addEventListener("ended", this.#onEnd);
    return true;
  }

  stop() {
    this.#opening++;
    if (this.#stream) end(this.#stream);
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Identifiers of all cameras, which browsers tell once one of them may be used. */
  async all() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").map(({ deviceId }) => deviceId);
  }

  /** Choose the next camera, to be opened then. */
  async turnToNext() {
    const all = await this.all();
    const current = this.#stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
    const next = all[(all.indexOf(current) + 1) % all.length];
    this.#wanted = next ? { ...SIZE, deviceId: { exact: next } } : REAR;
  }
}

/** @param {string} code */
const problem = (code) => new Problem({ status: 0, code });

/** @param {MediaStream} stream */
const end = (stream) => stream.getTracks().forEach((track) => track.stop());
