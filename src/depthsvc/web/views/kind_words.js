// The words that depend on what the values of a depth map are.

/** @import { Kind } from "../depth/kind.js" */
/** @import { Range } from "../depth/nearness.js" */
/** @import { Key, Values } from "../words/i18n.js" */

import { isKnown, METRES } from "../depth/kind.js";
import { findAll } from "../elements.js";
import { distance } from "../words/distance.js";
import { knows, say } from "../words/i18n.js";

/** @typedef {[key: Key, values: Values]} Words */

/**
 * Have each element with a `data-metres` say that, or else what it says of relative depth.
 * @param {Kind} kind
 */
export function speakOfKind(kind) {
  for (const element of findAll("[data-metres]", HTMLElement)) {
    element.dataset.relative ??= element.dataset.words;
    const key = (kind === METRES ? element.dataset.metres : element.dataset.relative) ?? "";
    if (knows(key, {})) say(element, key);
  }
}

/**
 * @param {Key} key of words with `{metres}`
 * @param {number} metres
 * @returns {Words}
 */
export const metresIn = (key, metres) =>
  isKnown(metres) ? [key, { metres: distance(metres) }] : ["unknownDistance", {}];

/**
 * What the ends of a legend are.
 * @param {Range} range of inverse depth
 * @param {Kind} kind of the map
 * @returns {{far: Words, near: Words}}
 */
export function endsOf([low, high], kind) {
  if (kind !== METRES) return { far: ["farEnd", {}], near: ["nearEnd", {}] };
  return { far: metresIn("farEndMetres", 1 / low), near: metresIn("nearEndMetres", 1 / high) };
}
