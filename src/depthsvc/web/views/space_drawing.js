// The photo as a point cloud that can be turned and zoomed.

/** @import { PointCloud } from "../depth/pointcloud.js" */
/** @import { Program } from "./webgl.js" */

import { FIELD_OF_VIEW } from "../depth/pointcloud.js";
import { attribute, context, program } from "./webgl.js";

/** @typedef {{yaw: number, pitch: number, zoom: number}} View radians; zoom 1 is where the photo was taken */

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

const OVERLAP = 1.5; // points are larger than the distance between them, so that surfaces have no holes
const CLOSEST = 0.02; // bound of what is drawn, as a fraction of the pivot's distance
const LIMITS = { yaw: 1.3, pitch: 1.1, closest: 4, farthest: 0.35 };
/** @type {View} */
const START = { yaw: 0.22, pitch: -0.08, zoom: 1 };
const SWING_MS = 3600;

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The camera's matrix: the cloud turned about a point on the photo's axis, seen in perspective.
 * @param {View} view
 * @param {{pivot: number, farthest: number}} distances of that point and of the cloud's farthest, from the camera
 * @param {[number, number]} lens focal length in half widths and half heights
 * @returns {Float32Array} 4 x 4, column by column
 */
function cameraMatrix({ yaw, pitch, zoom }, { pivot, farthest }, lens) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  const turned = [
    [cy, 0, sy],
    [sp * sy, cp, -sp * cy],
    [-cp * sy, sp, cp * cy],
  ];
  const moved = turned.map((row, axis) => [...row, row[2] * pivot - (axis === 2 ? pivot / zoom : 0)]);
  const [x, y, z] = moved;
  const [front, back] = [CLOSEST * pivot, 2 * farthest + pivot / zoom];
  const a = (back + front) / (front - back);
  const b = (2 * back * front) / (front - back);
  const columns = [0, 1, 2, 3].map((k) => [lens[0] * x[k], lens[1] * y[k], a * z[k] + (k === 3 ? b : 0), -z[k]]);
  return new Float32Array(columns.flat());
}

/** A view of one point cloud on one canvas. */
export class Scene {
  #gl;
  #program;
  #buffers;
  /** @type {PointCloud | null} */
  #cloud = null;
  #distances = { pivot: 1, farthest: 1 };
  #frame = 0;
  #view = { ...START };

  /**
   * Throws if the browser has no WebGL.
   * @param {HTMLCanvasElement} canvas
   */
  constructor(canvas) {
    this.canvas = canvas;
    this.#gl = context(canvas, { antialias: false, alpha: true, preserveDrawingBuffer: true });
    [this.#program, this.#buffers] = this.#prepared();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      [this.#program, this.#buffers] = this.#prepared();
      if (this.#cloud) this.load(this.#cloud);
    });
  }

  /** @returns {[Program, WebGLBuffer[]]} */
  #prepared() {
    const gl = this.#gl;
    gl.enable(gl.DEPTH_TEST);
    return [program(gl, VERTEX, FRAGMENT), [gl.createBuffer(), gl.createBuffer()]];
  }

  /**
   * Show a cloud.
   * @param {PointCloud} cloud
   */
  load(cloud) {
    this.#cloud = cloud;
    const depths = cloud.points.filter((_, index) => index % 3 === 2).sort();
    this.#distances = { pivot: -(depths[depths.length >> 1] ?? -1), farthest: -(depths[0] ?? -1) };
    attribute(this.#gl, 0, this.#buffers[0], cloud.points, this.#gl.FLOAT, false);
    attribute(this.#gl, 1, this.#buffers[1], cloud.colours, this.#gl.UNSIGNED_BYTE, true);
    this.draw();
  }

  /** Draw before the next frame, once for any number of calls. */
  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    const longer = Math.max(width, height);
    const focal = 1 / Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    /** @type {[number, number]} */
    const lens = [(focal * longer) / width, (focal * longer) / height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!this.#cloud) return;
    gl.useProgram(this.#program.program);
    gl.uniformMatrix4fv(this.#program.places.camera, false, cameraMatrix(this.#view, this.#distances, lens));
    gl.uniform1f(this.#program.places.size, (OVERLAP * focal * longer) / 2 / this.#cloud.focal);
    gl.drawArrays(gl.POINTS, 0, this.#cloud.count);
  }

  /**
   * Turn by radians.
   * @param {number} right
   * @param {number} up
   */
  turn(right, up) {
    this.#view.yaw = clamp(this.#view.yaw + right, -LIMITS.yaw, LIMITS.yaw);
    this.#view.pitch = clamp(this.#view.pitch + up, -LIMITS.pitch, LIMITS.pitch);
    this.draw();
  }

  /**
   * Come closer.
   * @param {number} factor
   */
  zoom(factor) {
    this.#view.zoom = clamp(this.#view.zoom * factor, LIMITS.farthest, LIMITS.closest);
    this.draw();
  }

  /** Return to the first view. */
  reset() {
    this.#view = { ...START };
    this.draw();
  }

  /**
   * Swing once from side to side, to show that there is depth.
   * @param {AbortSignal} signal ends it
   */
  swing(signal) {
    const began = performance.now();
    /** @param {number} now */
    const step = (now) => {
      if (signal.aborted) return;
      const fraction = Math.min((now - began) / SWING_MS, 1);
      this.#view.yaw = START.yaw * Math.cos(2 * Math.PI * fraction);
      this.#drawNow();
      if (fraction < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}
