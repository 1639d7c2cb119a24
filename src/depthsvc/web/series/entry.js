// One of the photos that are sent.

/** @import { Kept } from "../photo/kept.js" */
/** @import { Failure } from "../service/status.js" */

/** @typedef {"waiting" | "busy" | "done" | "failed"} State */

/** The most photos in one series. */
export const MOST_PHOTOS = 100;

let newestKey = 0;

/** A photo, how far it is, and its picture or what went wrong. */
export class Entry {
  /** @type {State} */
  state = "waiting";
  /** @type {Kept | null} */
  kept = null;
  /** @type {Failure | null} */
  problem = null;
  /** The same photo with other depth, until this is done. @type {Entry | null} */
  former = null;

  /**
   * @param {File} photo
   * @param {number} key greater than those of all entries before it, also of earlier visits
   */
  constructor(photo, key = Date.now()) {
    this.photo = photo;
    this.name = photo.name || "photo";
    this.key = newestKey = Math.max(key, newestKey + 1);
  }

  /**
   * An entry of an earlier visit.
   * @param {number} key
   * @param {Kept} kept
   */
  static of(key, kept) {
    const entry = new Entry(kept.parts.photo, key);
    entry.finish(kept);
    return entry;
  }

  /** The same photo, to be sent again. */
  renewed() {
    const entry = new Entry(this.photo);
    entry.former = this.kept ? this : this.former;
    return entry;
  }

  /** @param {Kept} kept */
  finish(kept) {
    this.state = "done";
    this.kept = kept;
    this.former = null;
  }

  /** @param {Failure} problem */
  fail(problem) {
    this.state = "failed";
    this.problem = problem;
  }
}
