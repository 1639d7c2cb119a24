// A point on a picture, chosen with the mouse, a finger or the arrow keys.

/** @typedef {{x: number, y: number}} Place fractions 0..1 of the width from the left and of the height from the top */

const STEP = 0.02; // of the picture's sides, for one press of an arrow key
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {number} value */
const clamp = (value) => Math.min(Math.max(value, 0), 1);

/**
 * Where on an element an event happened.
 * @param {MouseEvent} event
 * @param {HTMLElement} element
 * @returns {Place}
 */
export function placeOf(event, element) {
  const box = element.getBoundingClientRect();
  return { x: clamp((event.clientX - box.left) / box.width), y: clamp((event.clientY - box.top) / box.height) };
}

/**
 * Follow the pointer over an element.
 * @param {HTMLElement} element
 * @param {(place: Place | null) => void} onPlace null when the mouse leaves; the place of a tap stays
 */
export function followPointer(element, onPlace) {
  element.addEventListener("pointermove", (event) => onPlace(placeOf(event, element)));
  element.addEventListener("pointerdown", (event) => onPlace(placeOf(event, element)));
  element.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType === "mouse") onPlace(null);
  });
}

/**
 * Follow clicks on an element, and the pointer while it is pressed.
 * @param {HTMLElement} element
 * @param {(place: Place) => void} onPlace
 */
export function followPress(element, onPlace) {
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    onPlace(placeOf(event, element));
  });
  element.addEventListener("pointermove", (event) => {
    if (event.buttons) onPlace(placeOf(event, element));
  });
}

/**
 * Move a place with the arrow keys, five times as far with Shift.
 * @param {HTMLElement} element
 * @param {() => Place} current where it is now
 * @param {(place: Place) => void} onPlace
 */
export function followKeys(element, current, onPlace) {
  element.addEventListener("keydown", (event) => {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const [right, down] = ARROWS[event.key];
    const step = event.shiftKey ? 5 * STEP : STEP;
    const { x, y } = current();
    onPlace({ x: clamp(x + step * right), y: clamp(y + step * down) });
  });
}

/**
 * Put a mark, which lies on a picture, at a place.
 * @param {HTMLElement} element
 * @param {Place | null} place null hides it
 */
export function mark(element, place) {
  element.hidden = !place;
  if (!place) return;
  element.style.left = `${100 * place.x}%`;
  element.style.top = `${100 * place.y}%`;
}
