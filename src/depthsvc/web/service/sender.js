// Sending photos, one at a time.

/** @import { Asked, Depth } from "./api.js" */
/** @import { Failure } from "./status.js" */

import { maxBytes, maxPixels } from "../photo/formats.js";
import { Kept } from "../photo/kept.js";
import { agrees, decoded, Picture, shrunk } from "../photo/picture.js";
import { Entry, MOST_PHOTOS } from "../series/entry.js";
import { depth, Problem, refocused } from "./api.js";
import { patiently } from "./retry.js";
import { count, fail, stopWaiting, wait } from "./status.js";

const NOT_OF_THE_PHOTO = ["unauthorized", "unreachable"];

/** Sends each photo once and hands on the first picture of a series. Newer photos cancel older ones. */
export class Sender {
  #asked;
  #onPicture;
  #onChange;
  #cancelling = new AbortController();
  /** @type {Entry[]} */
  entries = [];
  /** The entry whose picture is shown. @type {Entry | null} */
  open = null;
  /** The entry that a person has chosen last. @type {Entry | null} */
  #chosen = null;
  /** The series of the open entry. @type {Entry[]} */
  #shown = [];

  /**
   * @param {() => Promise<Asked>} asked what to ask for
   * @param {(picture: Picture) => void} onPicture gets the picture, and has to release it
   * @param {() => void} onChange called when an entry or the series has changed
   */
  constructor(asked, onPicture, onChange) {
    this.#asked = asked;
    this.#onPicture = onPicture;
    this.#onChange = onChange;
  }

  /**
   * Send photos, at most MOST_PHOTOS.
   * @param {File[]} photos
   */
  send(photos) {
    return this.#work(photos.slice(0, MOST_PHOTOS).map((photo) => new Entry(photo)));
  }

  /** Send all photos of the series again. */
  sendAgain() {
    if (this.entries.length) this.send(this.entries.map(({ photo }) => photo));
  }

  /** Send again what has no depth. */
  resume() {
    if (this.entries.length) this.#work(this.entries.map((entry) => (entry.kept ? entry : new Entry(entry.photo))));
  }

  cancel() {
    this.#cancelling.abort();
    if (!this.entries.some(({ kept }) => kept)) this.entries = this.#shown;
    this.#giveUp({ code: "cancelled" });
  }

  /**
   * Show the picture of an entry, or what went wrong.
   * @param {Entry} entry
   */
  async choose(entry) {
    if (entry.problem) return fail(entry.problem, entry.photo);
    if (!entry.kept) return;
    this.#chosen = entry;
    const picture = await entry.kept.picture();
    if (this.#chosen === entry) this.#show(entry, picture);
    else picture.release();
  }

  /**
   * @param {Entry} entry
   * @param {Picture} picture
   */
  #show(entry, picture) {
    if (!this.entries.includes(entry)) return picture.release();
    this.open = entry;
    this.#shown = this.entries;
    this.#onPicture(picture);
    this.#onChange();
  }

  /** @param {Entry[]} entries */
  async #work(entries) {
    this.#cancelling.abort();
    const { signal } = (this.#cancelling = new AbortController());
    this.entries = entries;
    for (const entry of entries.filter(({ kept }) => !kept)) {
      count(entries.indexOf(entry) + 1, entries.length);
      await this.#estimate(entry, signal);
      if (signal.aborted) return;
      if (entry.problem && NOT_OF_THE_PHOTO.includes(entry.problem.code)) return this.#giveUp(entry.problem);
    }
    stopWaiting();
  }

  /**
   * Send nothing more.
   * @param {Failure} problem why
   */
  #giveUp(problem) {
    stopWaiting();
    for (const entry of this.entries) if (!entry.kept && !entry.problem) entry.fail(problem);
    this.#onChange();
  }

  /**
   * @param {Entry} entry
   * @param {AbortSignal} signal
   */
  async #estimate(entry, signal) {
    const { photo } = entry;
    entry.state = "busy";
    wait("preparing");
    this.#onChange();
    try {
      const picture = await pictureOf(photo, await this.#asked(), signal);
      if (signal.aborted) return picture.release();
      const isFirst = !this.entries.some(({ kept }) => kept);
      entry.kept = new Kept(picture);
      entry.state = "done";
      if (isFirst) this.#show(entry, picture);
      else picture.release();
    } catch (error) {
      if (signal.aborted || (error instanceof DOMException && error.name === "AbortError")) return;
      if (!(error instanceof Problem)) console.error(error);
      entry.fail(error instanceof Problem ? error : { code: "other" });
      if (this.entries.length === 1 || NOT_OF_THE_PHOTO.includes(entry.problem?.code ?? "")) {
        fail(entry.problem ?? { code: "other" }, { name: entry.name, size: photo.size });
      }
    }
    this.#onChange();
  }
}

const FORM_BYTES = 1000; // around the photo in a request
const SHRUNK_PIXELS = 12.5e6;
const TOO_LARGE = ["body_too_large", "too_many_pixels", "too_expensive"];

/**
 * @param {File} photo
 * @param {Asked} asked
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
  const { seen, image } = await asSeen(sent, map);
  return new Picture(sent, seen, image, map, sent !== photo);
}

/**
 * A photo as the service sees it: by the browser, or by the service if the browser can't decode it or turns it
 * otherwise.
 * @param {File} photo
 * @param {Depth} map
 * @returns {Promise<{seen: Blob, image: HTMLImageElement}>}
 */
async function asSeen(photo, map) {
  const image = await decoded(photo).catch(() => null);
  if (image && agrees(image, map)) return { seen: photo, image };
  try {
    const seen = await refocused(photo, map.asked, { x: 0.5, y: 0.5, strength: 0 });
    return { seen, image: await decoded(seen) };
  } catch {
    if (image) return { seen: photo, image };
    throw new Problem({ status: 200, code: "undecodable" });
  }
}

/**
 * @param {File} photo
 * @param {Asked} asked
 * @param {AbortSignal} signal
 */
async function estimated(photo, asked, signal) {
  /** @param {number} sent */
  const onProgress = (sent) =>
    sent < 1 ? wait("uploading", { percent: Math.round(100 * sent) }, sent) : wait("estimating");
  return patiently(() => depth(photo, asked, { signal, onProgress }), signal, (seconds) => wait("busy", { seconds }));
}
