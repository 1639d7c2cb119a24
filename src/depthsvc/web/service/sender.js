// Sending photos, one at a time.

import { decoded, Picture } from "../photo/picture.js";
import { depth, Problem } from "./api.js";
import { patiently } from "./retry.js";
import { fail, stopWaiting, wait } from "./status.js";

/** Sends each photo once and hands on the photo and its depth as a picture. A newer photo cancels an older one. */
export class Sender {
  #onPicture;
  #cancelling = new AbortController();
  /** @type {File | null} */
  #last = null;

  /** @param {(picture: Picture) => void} onPicture */
  constructor(onPicture) {
    this.#onPicture = onPicture;
  }

  /** @param {File} photo */
  async send(photo) {
    this.#cancelling.abort();
    const { signal } = (this.#cancelling = new AbortController());
    this.#last = photo;
    wait("preparing");
    try {
      const picture = await pictureOf(photo, signal);
      if (signal.aborted) picture.release();
      else this.#onPicture(picture);
    } catch (error) {
      if (signal.aborted || (error instanceof DOMException && error.name === "AbortError")) return;
      if (!(error instanceof Problem)) console.error(error);
      fail(error instanceof Problem ? error : { code: "other" }, photo.name || "photo");
    } finally {
      if (!signal.aborted) stopWaiting();
    }
  }

  /** Send the last photo again, if there was one. */
  sendAgain() {
    if (this.#last) this.send(this.#last);
  }

  cancel() {
    this.#cancelling.abort();
    stopWaiting();
  }
}

/**
 * @param {File} photo
 * @param {AbortSignal} signal
 */
async function pictureOf(photo, signal) {
  const map = await estimated(photo, signal);
  const image = await decoded(photo).catch(() => {
    throw new Problem({ status: 200, code: "undecodable" });
  });
  return new Picture(photo, image, map);
}

/**
 * @param {File} photo
 * @param {AbortSignal} signal
 */
async function estimated(photo, signal) {
  /** @param {number} sent */
  const onProgress = (sent) =>
    sent < 1 ? wait("uploading", { percent: Math.round(100 * sent) }, sent) : wait("estimating");
  return patiently(() => depth(photo, { signal, onProgress }), signal, (seconds) => wait("busy", { seconds }));
}
