// Sending photos, one at a time.

/** @import { Asked, Depth } from "./api.js" */
/** @import { Failure } from "./status.js" */

import { maxBytes, maxPixels } from "../photo/formats.js";
import { Kept } from "../photo/kept.js";
import { agrees, decoded, Picture, shrunk } from "../photo/picture.js";
import { Entry, MOST_PHOTOS } from "../series/entry.js";
import { depth, Problem, refocused } from "./api.js";
import { patiently } from "./retry.js";
import { clearFailure, count, fail, stopWaiting, wait } from "./status.js";

const NOT_OF_THE_PHOTO = ["unauthorized", "unreachable"];

/** Sends each photo once, after those that are under way, and hands on the first picture of those that came together. */
export class Sender {
  #asked;
  #onPicture;
  #onChange;
  #cancelling = new AbortController();
  /** @type {Entry[]} */
  entries = [];
  /** How many there would be without a bound. */
  offered = 0;
  /** The entry whose picture is shown. @type {Entry | null} */
  open = null;
  /** The entry that a person has chosen last. @type {Entry | null} */
  #chosen = null;
  /** What is to be sent next; null if nothing is under way. @type {Entry[] | null} */
  #queue = null;
  /** The first of these that is done will be shown. @type {Entry[]} */
  #awaited = [];

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
   * Send more photos, as long as there are at most MOST_PHOTOS. Those that have failed make room.
   * @param {File[]} photos
   */
  send(photos) {
    const before = this.entries.filter(({ problem }) => !problem);
    const added = photos.slice(0, MOST_PHOTOS - before.length).map((photo) => new Entry(photo));
    this.entries = [...before, ...added];
    this.offered = before.length + photos.length;
    if (!this.#queue) this.#work(added);
    else {
      this.#queue.push(...added);
      this.#awaited = added;
    }
    this.#changed();
  }

  /** Send all photos again, the one that is shown first. */
  sendAgain() {
    this.#renew(() => true);
  }

  /** Send again what has no depth. */
  resume() {
    this.#renew(({ kept }) => !kept);
  }

  /** Send nothing more, and leave things as they were. */
  cancel() {
    this.#stop();
    this.entries = this.entries.flatMap((entry) => (entry.kept || entry.problem ? entry : (entry.former ?? [])));
    if (this.open?.former) this.open = this.open.former;
    this.#changed();
  }

  /** Forget all photos. */
  clear() {
    this.#stop();
    this.entries = [];
    this.open = this.#chosen = null;
    clearFailure();
    this.#changed();
  }

  /**
   * Show photos of an earlier visit, unless there are others by now.
   * @param {Entry[]} entries which are done; without what the browser has lost, if that was shown
   * @param {number} key of the one that was shown
   * @returns {Promise<boolean>} whether they are shown
   */
  async restore(entries, key) {
    const shown = entries.find((entry) => entry.key === key) ?? entries.at(-1);
    if (this.entries.length || !shown) return false;
    this.entries = entries;
    try {
      await this.#reopen(shown);
    } catch {
      if (this.entries !== entries) return false;
      this.entries = [];
      return this.restore(entries.filter((entry) => entry !== shown), key);
    }
    return this.open === shown;
  }

  /**
   * Show the picture of an entry, or what went wrong.
   * @param {Entry} entry
   */
  async choose(entry) {
    if (entry.problem) return fail(entry.problem, entry.photo);
    await this.#reopen(entry).catch(() => this.#lose(entry));
  }

  /** @param {Entry} entry */
  async #reopen(entry) {
    if (!entry.kept) return;
    this.#chosen = entry;
    this.#awaited = [];
    const picture = await entry.kept.picture();
    if (this.#chosen === entry) this.#show(entry, picture);
    else picture.release();
  }

  /** @param {Entry} entry that the browser had kept, and has no more */
  #lose(entry) {
    entry.kept = null;
    entry.fail({ code: "undecodable" });
    fail({ code: "undecodable" }, entry.photo);
    this.#changed();
  }

  /**
   * @param {Entry} entry
   * @param {Picture} picture
   */
  #show(entry, picture) {
    if (!this.entries.includes(entry)) return picture.release();
    this.open = entry;
    this.#awaited = [];
    this.#onPicture(picture);
    this.#changed();
  }

  /** @param {(entry: Entry) => boolean} isWanted whether to send it again */
  #renew(isWanted) {
    if (!this.entries.length) return;
    const renewed = new Map(this.entries.map((entry) => [entry, isWanted(entry) ? entry.renewed() : entry]));
    this.entries = [...renewed.values()];
    this.open = (this.open && renewed.get(this.open)) ?? this.open;
    const sent = this.entries.filter(({ kept }) => !kept);
    this.#work([...sent.filter((entry) => entry === this.open), ...sent.filter((entry) => entry !== this.open)]);
  }

  /** @param {Entry[]} queue to be sent instead of what is under way */
  async #work(queue) {
    this.#cancelling.abort();
    const { signal } = (this.#cancelling = new AbortController());
    this.#queue = queue;
    this.#awaited = [...queue];
    for (let entry = queue.shift(); entry; entry = queue.shift()) {
      await this.#estimate(entry, signal);
      if (signal.aborted) return;
      if (entry.problem && NOT_OF_THE_PHOTO.includes(entry.problem.code)) return this.#giveUp(entry.problem);
    }
    this.#stop();
  }

  #stop() {
    this.#cancelling.abort();
    this.#queue = null;
    stopWaiting();
  }

  /**
   * Send nothing more.
   * @param {Failure} problem why
   */
  #giveUp(problem) {
    this.#stop();
    for (const entry of this.entries) if (!entry.kept && !entry.problem) entry.fail(problem);
    this.#changed();
  }

  #changed() {
    const number = this.entries.findIndex(({ state }) => state === "busy") + 1;
    if (number) count(number, this.entries.length);
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
    this.#changed();
    try {
      const picture = await pictureOf(photo, await this.#asked(), signal);
      if (signal.aborted) return picture.release();
      entry.finish(Kept.of(picture));
      if (!this.open || this.#awaited.includes(entry)) this.#show(entry, picture);
      else picture.release();
    } catch (error) {
      if (signal.aborted || (error instanceof DOMException && error.name === "AbortError")) return;
      if (!(error instanceof Problem)) console.error(error);
      this.#fail(entry, error instanceof Problem ? error : { code: "other" });
    }
    this.#changed();
  }

  /**
   * @param {Entry} entry
   * @param {Failure} problem which its tile says, and the page itself if no other photo came with it
   */
  #fail(entry, problem) {
    entry.fail(problem);
    const isAlone = this.#awaited.length === 1 && this.#awaited[0] === entry;
    if (isAlone || NOT_OF_THE_PHOTO.includes(problem.code)) fail(problem, entry.photo);
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
