// The words that depend on what the values of a depth map are.

/** @import { Kind } from "../depth/kind.js" */

import { METRES } from "../depth/kind.js";
import { findAll } from "../elements.js";
import { knows, say } from "../words/i18n.js";

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
