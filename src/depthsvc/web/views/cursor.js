// A point on a picture, chosen with the mouse, a finger or the arrow keys.

const STEP = 0.02; // of the picture's sides, for one press of an arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const clamp = (value) => Math.min(Math.max(value, 0), 1);

/** Where an event happened on an element: parts 0..1 from the left and the top. */
function placeOf(event, element) {
  const box = element.getBoundingClientRect();
  return { x: clamp((event.clientX - box.left) / box.width), y: clamp((event.clientY - box.top) / box.height) };
}

/** Call back with every place that the pointer is over, and with null when the mouse leaves; a tap stays. */
export function followPointer(element, onPlace) {
  for (const type of ["pointermove", "pointerdown"]) {
    element.addEventListener(type, (event) => onPlace(placeOf(event, element)));
  }
  element.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType === "mouse") onPlace(null);
  });
}

/** Call back with every place that is clicked, or that the pointer is dragged over. */
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
 * @param {() => {x: number, y: number}} present where it is now
 */
export function followKeys(element, present, onPlace) {
  element.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const step = event.shiftKey ? 5 * STEP : STEP;
    const { x, y } = present();
    onPlace({ x: clamp(x + step * arrow[0]), y: clamp(y + step * arrow[1]) });
  });
}

/** Put a mark, which lies on a picture, at a place; null hides it. */
export function mark(element, place) {
  element.hidden = !place;
  if (!place) return;
  element.style.left = `${100 * place.x}%`;
  element.style.top = `${100 * place.y}%`;
}
