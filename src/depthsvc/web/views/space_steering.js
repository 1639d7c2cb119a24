// Turning and zooming the 3-D view with the mouse, fingers and keys.

/**
 * What can be steered: a turn is in parts of the widest; a place is a fraction of the element from its top left.
 * @typedef {{turn: (right: number, up: number) => void, zoom: (factor: number) => void, reset: () => void,
 *     look: (x: number, y: number) => void, touch: () => void}} Steered
 */

/** @type {Record<string, (steered: Steered) => void>} */
const KEYS = {
  ArrowLeft: (steered) => steered.turn(-0.25, 0),
  ArrowRight: (steered) => steered.turn(0.25, 0),
  ArrowUp: (steered) => steered.turn(0, 0.25),
  ArrowDown: (steered) => steered.turn(0, -0.25),
  "+": (steered) => steered.zoom(1.15),
  "=": (steered) => steered.zoom(1.15),
  "-": (steered) => steered.zoom(1 / 1.15),
  Enter: (steered) => steered.look(0.5, 0.5),
  0: (steered) => steered.reset(),
};
const ACROSS = 3.2; // parts of the widest turn that a way across the element makes
const TAP = { ms: 350, pixels: 24 }; // between two taps that are one double tap

/**
 * Let mouse, fingers and keys on an element turn and zoom.
 * @param {HTMLElement} element
 * @param {Steered} steered
 */
export function steer(element, steered) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  let tapped = { x: 0, y: 0, time: -Infinity };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  /** @param {PointerEvent} event */
  const tap = ({ clientX: x, clientY: y, timeStamp: time }) => {
    const isNear = Math.hypot(x - tapped.x, y - tapped.y) < TAP.pixels;
    if (isNear && time - tapped.time < TAP.ms) {
      const { left, top, width, height } = element.getBoundingClientRect();
      steered.look((x - left) / width, (y - top) / height);
      time = -Infinity;
    }
    tapped = { x, y, time };
  };
  element.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.setPointerCapture(event.pointerId);
    steered.touch();
    if (fingers.size === 1) tap(event);
  });
  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, now);
    const scale = ACROSS / element.clientWidth;
    if (fingers.size === 2) steered.zoom(spread() / Math.max(apart, 1));
    else steered.turn((now.x - before.x) * scale, (now.y - before.y) * -scale);
  });
  element.addEventListener("pointerup", (event) => fingers.delete(event.pointerId));
  element.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      steered.zoom(Math.exp(-event.deltaY / 600));
    },
    { passive: false },
  );
  element.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key](steered);
  });
}
