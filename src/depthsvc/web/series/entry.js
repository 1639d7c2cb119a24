// One of the photos that are sent.

/** @import { Kept } from "../photo/kept.js" */
/** @import { Failure } from "../service/status.js" */

/** @typedef {"waiting" | "busy" | "done" | "failed"} State */

/** The most photos in one series. */
export const MOST_PHOTOS = 100;

/** A photo, how far it is, and its picture or what went wrong. */
export class Entry {
  /** @type {State} */
  state = "waiting";
  /** @type {Kept | null} */
  kept = null;
  /** @type {Failure | null} */
  problem = null;

  /** @param {File} photo */
  constructor(photo) {
    this.photo = photo;
    this.name = photo.name || "photo";
  }

  /** @param {Failure} problem */
  fail(problem) {
    this.state = "failed";
    this.problem = problem;
  }
}
