// Turning and zooming the 3-D view with the mouse, fingers and keys.

/** @import { Scene } from "./space_drawing.js" */

/** @type {Record<string, (scene: Scene) => void>} */
const KEYS = {
  ArrowLeft: (scene) => scene.turn(-0.1, 0),
  ArrowRight: (scene) => scene.turn(0.1, 0),
  ArrowUp: (scene) => scene.turn(0, 0.1),
  ArrowDown: (scene) => scene.turn(0, -0.1),
  "+": (scene) => scene.zoom(1.15),
  "=": (scene) => scene.zoom(1.15),
  "-": (scene) => scene.zoom(1 / 1.15),
  0: (scene) => scene.reset(),
};

/**
 * Let mouse, fingers and keys on an element turn and zoom a scene.
 * @param {HTMLElement} element
 * @param {Scene} scene
 * @param {() => void} onTouch called when a person takes over
 */
export function steer(element, scene, onTouch) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  element.addEventListener("pointerdown", (event) => {
    onTouch();
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) scene.zoom(spread() / Math.max(apart, 1));
    else scene.turn((now.x - before.x) / 220, (now.y - before.y) / -220);
  });
  element.addEventListener("pointerup", (event) => fingers.delete(event.pointerId));
  element.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      onTouch();
      scene.zoom(Math.exp(-event.deltaY / 600));
    },
    { passive: false },
  );
  element.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onTouch();
    KEYS[event.key](scene);
  });
}
