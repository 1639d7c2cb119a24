// The part of a picture that a frame of the same proportions shows.

/** @import { Place } from "./cursor.js" */

/** @typedef {{x: number, y: number, part: number}} Region left, top and side as fractions 0..1 of the picture's sides */

const ROUNDING = 1e-6;

/** @type {Region} */
export const WHOLE = { x: 0, y: 0, part: 1 };

/** @param {Region} region */
function inside({ x, y, part }) {
  const most = 1 - part;
  return { x: Math.min(Math.max(x, 0), most), y: Math.min(Math.max(y, 0), most), part };
}

/**
 * Nearer by a factor, with one place staying where it is.
 * @param {Region} region
 * @param {number} factor
 * @param {Place} at of the frame
 * @param {number} least of a region's `part`
 * @returns {Region}
 */
export function zoomed(region, factor, at, least) {
  const part = Math.min(Math.max(region.part / factor, least), 1);
  const { x, y } = inPicture(at, region);
  return inside({ x: x - at.x * part, y: y - at.y * part, part });
}

/**
 * @param {Region} region
 * @param {number} right by how much the picture is moved in the frame, as a fraction of the frame
 * @param {number} down
 * @returns {Region}
 */
export const moved = ({ x, y, part }, right, down) => inside({ x: x - right * part, y: y - down * part, part });

/**
 * The nearest region of the same size that has a place of the picture in it.
 * @param {Region} region
 * @param {Place} place
 * @returns {Region}
 */
export function revealing({ x, y, part }, place) {
  /** @param {number} low @param {number} at */
  const along = (low, at) => Math.min(Math.max(low, at - part), at);
  return inside({ x: along(x, place.x), y: along(y, place.y), part });
}

/**
 * The place of the picture at a place of the frame.
 * @param {Place} place
 * @param {Region} region
 * @returns {Place}
 */
export const inPicture = (place, { x, y, part }) => ({ x: x + place.x * part, y: y + place.y * part });

/**
 * The place of the frame at a place of the picture; null outside the frame.
 * @param {Place} place
 * @param {Region} region
 * @returns {Place | null}
 */
export function inFrame(place, region) {
  const [x, y] = [(place.x - region.x) / region.part, (place.y - region.y) / region.part];
  return Math.min(x, y) < -ROUNDING || Math.max(x, y) > 1 + ROUNDING ? null : { x, y };
}

/**
 * The CSS transform of an element that fills the frame and shows one region, so that the frame shows another.
 * @param {Region} wanted
 * @param {Region} drawn
 */
export function transformOf(wanted, drawn = WHOLE) {
  const scale = drawn.part / wanted.part;
  const [right, down] = [(drawn.x - wanted.x) / wanted.part, (drawn.y - wanted.y) / wanted.part];
  return scale === 1 && !right && !down ? "" : `translate(${100 * right}%, ${100 * down}%) scale(${scale})`;
}
