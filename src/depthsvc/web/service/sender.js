// Sending photos, one at a time.

/** @import { Depth } from "./api.js" */

import { maxBytes, maxPixels } from "../photo/formats.js";
import { agrees, decoded, Picture, shrunk } from "../photo/picture.js";
import { depth, Problem, refocused } from "./api.js";
import { patiently } from "./retry.js";
import { fail, stopWaiting, wait } from "./status.js";

/** Sends each photo once and hands on the photo and its depth as a picture. A newer photo cancels an older one. */
export class Sender {
  #asked;
  #onPicture;
  #cancelling = new AbortController();
  /** @type {File | null} */
  #last = null;
  /** @type {File | null} */
  #shown = null;

  /**
   * @param {() => Promise<string | null>} asked the model to ask for; null for the service's default
   * @param {(picture: Picture) => void} onPicture
   */
  constructor(asked, onPicture) {
    this.#asked = asked;
    this.#onPicture = onPicture;
  }

  /** @param {File} photo */
  async send(photo) {
    this.#cancelling.abort();
    const { signal } = (this.#cancelling = new AbortController());
    this.#last = photo;
    wait("preparing");
    try {
      const picture = await pictureOf(photo, await this.#asked(), signal);
      if (signal.aborted) return picture.release();
      this.#shown = photo;
      this.#onPicture(picture);
    } catch (error) {
      if (signal.aborted || (error instanceof DOMException && error.name === "AbortError")) return;
      if (!(error instanceof Problem)) console.error(error);
      fail(error instanceof Problem ? error : { code: "other" }, { name: photo.name || "photo", size: photo.size });
    } finally {
      if (!signal.aborted) stopWaiting();
    }
  }

  /** Send the last photo again that was not cancelled, if there was one. */
  sendAgain() {
    if (this.#last) this.send(this.#last);
  }

  cancel() {
    this.#cancelling.abort();
    this.#last = this.#shown;
    stopWaiting();
  }
}

const FORM_BYTES = 1000; // around the photo in a request
const SHRUNK_PIXELS = 12.5e6;
const TOO_LARGE = ["body_too_large", "too_many_pixels", "too_expensive"];

/**
 * @param {File} photo
 * @param {string | null} asked
 * @param {AbortSignal} signal
 */
async function pictureOf(photo, asked, signal) {
  signal.throwIfAborted();
  const smaller = () => shrunk(photo, Math.min(SHRUNK_PIXELS, maxPixels()));
  let sent = photo;
  if (photo.size + FORM_BYTES > maxBytes()) sent = await smaller().catch(() => photo);
  let map;
  try {
    map = await estimated(sent, asked, signal);
  } catch (error) {
    if (sent !== photo || !(error instanceof Problem && TOO_LARGE.includes(error.code))) throw error;
    sent = await smaller().catch(() => {
      throw error;
    });
    map = await estimated(sent, asked, signal);
  }
  return new Picture(sent, await asSeen(sent, map), map, sent !== photo);
}

/**
 * A photo as the service sees it: by the browser, or by the service if the browser can't decode it or turns it
 * otherwise.
 * @param {File} photo
 * @param {Depth} map
 */
async function asSeen(photo, map) {
  const image = await decoded(photo).catch(() => null);
  if (image && agrees(image, map)) return image;
  try {
    return await decoded(await refocused(photo, map.asked, { x: 0.5, y: 0.5, strength: 0 }));
  } catch {
    if (image) return image;
    throw new Problem({ status: 200, code: "undecodable" });
  }
}

/**
 * @param {File} photo
 * @param {string | null} asked
 * @param {AbortSignal} signal
 */
async function estimated(photo, asked, signal) {
  /** @param {number} sent */
  const onProgress = (sent) =>
    sent < 1 ? wait("uploading", { percent: Math.round(100 * sent) }, sent) : wait("estimating");
  return patiently(() => depth(photo, asked, { signal, onProgress }), signal, (seconds) => wait("busy", { seconds }));
}
