// The photo as a point cloud that can be turned and zoomed.

import { attribute, context, program } from "./webgl.js";
import { FIELD_OF_VIEW } from "../depth/pointcloud.js";

const VERTEX = `
  layout(location = 0) in vec3 point;
  layout(location = 1) in vec3 colour;
  uniform mat4 camera;
  uniform float size;
  out vec3 paint;
  void main() {
    gl_Position = camera * vec4(point, 1.0);
    gl_PointSize = clamp(size * -point.z / gl_Position.w, 1.0, 48.0);
    paint = colour;
  }`;
const FRAGMENT = `
  in vec3 paint;
  out vec4 pixel;
  void main() {
    if (length(gl_PointCoord - 0.5) > 0.5) discard;
    pixel = vec4(paint, 1.0);
  }`;

const OVERLAP = 1.5; // points are larger than their distance, so that surfaces are closed
const [CLOSEST, FARTHEST] = [0.05, 200]; // what is drawn, in the cloud's unit
const LIMITS = { yaw: 1.3, pitch: 1.1, zoom: [0.35, 4] };
const START = { yaw: 0.22, pitch: -0.08, zoom: 1 };
const SWING_MS = 3600;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The camera's matrix: the cloud turned about a point on the photo's axis, seen in perspective.
 * @param {{yaw: number, pitch: number, zoom: number}} view radians; zoom 1 is where the photo was taken
 * @param {number} pivot distance of that point from the camera
 * @param {[number, number]} lens focal length in halves of the width and of the height
 * @returns {Float32Array} 4 x 4, column by column
 */
function cameraMatrix({ yaw, pitch, zoom }, pivot, lens) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  const turned = [
    [cy, 0, sy],
    [sp * sy, cp, -sp * cy],
    [-cp * sy, sp, cp * cy],
  ];
  const moved = turned.map((row, axis) => [...row, row[2] * pivot - (axis === 2 ? pivot / zoom : 0)]);
  const [x, y, z] = moved;
  const a = (FARTHEST + CLOSEST) / (CLOSEST - FARTHEST);
  const b = (2 * FARTHEST * CLOSEST) / (CLOSEST - FARTHEST);
  const columns = [0, 1, 2, 3].map((k) => [lens[0] * x[k], lens[1] * y[k], a * z[k] + (k === 3 ? b : 0), -z[k]]);
  return new Float32Array(columns.flat());
}

/** A view of one point cloud on one canvas. */
export class Scene {
  #gl;
  #program;
  #buffers;
  #cloud = null;
  #pivot = 1;
  #frame = 0;
  #view = { ...START };

  /** Throws where the browser has no WebGL. @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.#gl = context(canvas, { antialias: false, alpha: true, preserveDrawingBuffer: true });
    if (!this.#gl) throw new Error("no WebGL");
    this.#prepare();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#prepare();
      if (this.#cloud) this.load(this.#cloud);
    });
  }

  #prepare() {
    this.#program = program(this.#gl, VERTEX, FRAGMENT);
    this.#buffers = [this.#gl.createBuffer(), this.#gl.createBuffer()];
    this.#gl.enable(this.#gl.DEPTH_TEST);
  }

  /** Show a cloud. @param {ReturnType<import("../depth/pointcloud.js").pointCloud>} cloud */
  load(cloud) {
    this.#cloud = cloud;
    const depths = cloud.points.filter((_, index) => index % 3 === 2).sort();
    this.#pivot = -(depths[depths.length >> 1] ?? -1);
    attribute(this.#gl, 0, this.#buffers[0], cloud.points, this.#gl.FLOAT, false);
    attribute(this.#gl, 1, this.#buffers[1], cloud.colours, this.#gl.UNSIGNED_BYTE, true);
    this.draw();
  }

  /** Draw before the next frame; many calls make one drawing. */
  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    const longer = Math.max(width, height);
    const focal = 1 / Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    const lens = [(focal * longer) / width, (focal * longer) / height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.#cloud) return;
    gl.useProgram(this.#program.program);
    gl.uniformMatrix4fv(this.#program.places.camera, false, cameraMatrix(this.#view, this.#pivot, lens));
    gl.uniform1f(this.#program.places.size, (OVERLAP * focal * longer) / 2 / this.#cloud.focal);
    gl.drawArrays(gl.POINTS, 0, this.#cloud.count);
  }

  /** Turn by radians: to the right, and up. */
  turn(right, up) {
    this.#view.yaw = clamp(this.#view.yaw + right, -LIMITS.yaw, LIMITS.yaw);
    this.#view.pitch = clamp(this.#view.pitch + up, -LIMITS.pitch, LIMITS.pitch);
    this.draw();
  }

  /** Come nearer by a factor. */
  zoom(factor) {
    this.#view.zoom = clamp(this.#view.zoom * factor, ...LIMITS.zoom);
    this.draw();
  }

  /** Look again as in the beginning. */
  reset() {
    this.#view = { ...START };
    this.draw();
  }

  /** Swing once from side to side, to show that there is depth. `signal` ends it. */
  swing(signal) {
    const began = performance.now();
    const step = (now) => {
      if (signal.aborted) return;
      const part = Math.min((now - began) / SWING_MS, 1);
      this.#view.yaw = START.yaw * Math.cos(2 * Math.PI * part);
      this.#drawNow();
      if (part < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

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
 * @param {() => void} onTouch called when a person has taken over
 */
export function steer(element, scene, onTouch) {
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
  for (const type of ["pointerup", "pointercancel"]) {
    element.addEventListener(type, (event) => fingers.delete(event.pointerId));
  }
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
