// The 3-D view in the page: made when it is first looked at.

import { normalized } from "../depth/nearness.js";
import { sizeOn } from "../photo/picture.js";
import { pointCloud } from "../depth/pointcloud.js";
import { fitting, upsample } from "../depth/resize.js";
import { Scene, steer } from "./space_drawing.js";

const LONGEST = 1600; // pixels of the view
const GRID = 720; // points along the photo's longer side
const STEEP = 0.05; // a step to the next but one point, in parts of the depth, that is no surface any more

/** The map without the soft edges between near and far things, where the network's small grid mixes the two. */
function withoutEdges(map) {
  const { values, width, height, constant } = map;
  if (constant) return map;
  const kept = values.slice();
  const steep = (at, other) => Math.abs(values[at] - values[other]) > STEEP * (values[at] + 1 / 9);
  for (let y = 2; y < height - 2; y++) {
    for (let at = y * width + 2; at < (y + 1) * width - 2; at++) {
      if (steep(at - 1, at + 1)) kept.fill(0, at - 2, at + 3);
      if (steep(at - width, at + width)) for (let row = -2; row <= 2; row++) kept[at + row * width] = 0;
    }
  }
  return { ...map, values: kept };
}

/** The 3-D view of the present picture. */
export class SpaceView {
  #elements;
  #picture = null;
  #shown = null;
  #scene = null;
  #taken = new AbortController();

  /** @param {{canvas, frame, missing, closer, farther, reset}} elements */
  constructor(elements) {
    this.#elements = elements;
  }

  /** Have a picture ready to be shown. */
  take(picture) {
    this.#picture = picture;
  }

  /** Show the picture; to be called whenever the view has become visible or has another size. */
  fit() {
    const { canvas, frame } = this.#elements;
    if (!this.#picture || !frame.clientWidth || !this.#ready()) return;
    [canvas.width, canvas.height] = sizeOn(frame, this.#picture, LONGEST);
    if (this.#shown !== this.#picture) this.#load();
    this.#scene.draw();
  }

  #load() {
    const [width, height] = fitting(this.#picture.width, this.#picture.height, GRID);
    const nearness = withoutEdges(normalized(upsample(this.#picture.depth, width, height)));
    this.#scene.reset();
    this.#scene.load(pointCloud(nearness, this.#picture.pixelsAt(width, height)));
    this.#shown = this.#picture;
    this.#taken.abort();
    this.#taken = new AbortController();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.#scene.swing(this.#taken.signal);
  }

  #ready() {
    const { canvas, frame, missing, closer, farther, reset } = this.#elements;
    if (this.#scene) return true;
    try {
      this.#scene = new Scene(canvas);
    } catch {
      missing.hidden = false;
      return false;
    }
    const taken = () => this.#taken.abort();
    steer(frame, this.#scene, taken);
    const on = (button, action) => button.addEventListener("click", () => (taken(), action()));
    on(closer, () => this.#scene.zoom(1.25));
    on(farther, () => this.#scene.zoom(1 / 1.25));
    on(reset, () => this.#scene.reset());
    return true;
  }
}
