// A photo as two surfaces, drawn with a camera that moves: the outlines of the front are soft, the back has no holes.

/** @import { Layers } from "../depth/layers.js" */
/** @import { Mesh } from "../depth/triangles.js" */
/** @import { Projection } from "./space_camera.js" */
/** @import { Program } from "./webgl.js" */

import { OUTLINE, SOLID } from "../depth/triangles.js";
import { attribute, context, program, texture } from "./webgl.js";

const VERTEX = `
  layout(location = 0) in vec3 vertex; // place in the photo, nearness
  uniform vec2 range; // inverse depth: the least, and from there to the most
  uniform vec2 slope, focal, shear, offset, clip;
  uniform float back;
  out vec2 place;
  void main() {
    float depth = 1.0 / max(range.x + range.y * vertex.z, 1e-9);
    vec2 point = vec2(vertex.x - 0.5, 0.5 - vertex.y) * slope * depth;
    float away = depth - back;
    gl_Position = vec4(focal * point + away * shear + offset, clip.x * away + clip.y, away);
    place = vertex.xy;
  }`;
const FRAGMENT = `
  in vec2 place;
  uniform sampler2D photo, fill, outline;
  uniform float revealed; // 0 while the camera is where the photo was taken, soon 1
  out vec4 pixel;
  const vec3 GROUND = vec3(0.753);
  const float EDGE = ${(OUTLINE / 255).toFixed(4)};
  const float FULL = ${(SOLID / 255).toFixed(4)};
  void main() {
    vec4 seen = texture(photo, place);
    vec3 colour = seen.rgb + GROUND * (1.0 - seen.a);
    float covered = 1.0;
    #ifdef BACK
      vec4 other = texture(fill, place);
      colour = mix(colour, other.rgb, other.a * revealed);
    #endif
    #ifdef EDGES
      if (texture(outline, place).r < FULL) discard;
    #endif
    #ifdef RIMS
      covered = smoothstep(EDGE, FULL, texture(outline, place).r);
      if (covered <= 0.0 || covered == 1.0) discard;
    #endif
    pixel = vec4(colour * covered, covered);
  }`;
/** What is drawn, in this order: a mesh each, with a program of its own, so that most pixels are drawn once. */
const PARTS = /** @type {const} */ (["FRONT", "EDGES", "BACK", "RIMS"]);

/** @typedef {{layers: Layers, photo: ImageBitmap, low: number, high: number}} Model `low` and `high` as in `Relief` */

/** A view of one photo on one canvas. */
export class Scene {
  #gl;
  #programs;
  /** @type {Model | null} */
  #wanted = null;
  /** @type {Model | null} */
  #model = null;
  /** @type {Record<string, {array: WebGLVertexArrayObject, count: number}>} */
  #meshes = {};

  /**
   * Throws if the browser has no WebGL.
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} redraw called when the browser has taken the canvas away and given it back empty
   */
  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.#gl = context(canvas, async () => {
      this.#programs = this.#prepared();
      if (this.#wanted) await this.load(this.#wanted);
      redraw();
    });
    this.#programs = this.#prepared();
  }

  /** @returns {Program[]} */
  #prepared() {
    const gl = this.#gl;
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    return PARTS.map((part) => program(gl, VERTEX, `#define ${part}\n${FRAGMENT}`));
  }

  /**
   * Take a photo, piece by piece, so that the page stays responsive; until then nothing is drawn.
   * @param {Model} model
   */
  async load(model) {
    this.#wanted = model;
    this.#model = null;
    const gl = this.#gl;
    const { photo, layers: { width, height, fill, outline, front, edges, back } } = model;
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const pieces = [
      () => this.#texture(0, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, photo)),
      () => this.#texture(1, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, fill)),
      () => this.#texture(2, () => gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, width, height, 0, gl.RED, gl.UNSIGNED_BYTE, outline)),
      () => (this.#meshes.FRONT = this.#mesh(front)),
      () => (this.#meshes.EDGES = this.#meshes.RIMS = this.#mesh({ ...front, triangles: edges })),
      () => (this.#meshes.BACK = this.#mesh(back)),
    ];
    for (const piece of pieces) {
      piece();
      await new Promise((resolve) => setTimeout(resolve));
      if (this.#wanted !== model) return;
    }
    this.#model = model;
  }

  /**
   * @param {number} unit
   * @param {() => void} fill
   */
  #texture(unit, fill) {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    texture(gl, gl.LINEAR, gl.MIRRORED_REPEAT);
    fill();
  }

  /** @param {Mesh} mesh */
  #mesh({ vertices, triangles }) {
    const gl = this.#gl;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    attribute(gl, 0, gl.createBuffer(), vertices, gl.FLOAT, false);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
    return { array, count: triangles.length };
  }

  /**
   * Draw now.
   * @param {Projection} seen
   * @param {number} revealed 0 while the camera is where the photo was taken, soon 1
   */
  draw(seen, revealed) {
    if (!this.#model) return;
    const gl = this.#gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    PARTS.forEach((part, index) => {
      this.#prepare(this.#programs[index], this.#model, seen, revealed);
      const isSoft = part === "RIMS";
      if (isSoft) gl.enable(gl.BLEND);
      else gl.disable(gl.BLEND);
      gl.depthMask(!isSoft);
      const { array, count } = this.#meshes[part];
      gl.bindVertexArray(array);
      gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 0);
    });
    gl.depthMask(true);
  }

  /**
   * Use a program, for a camera.
   * @param {Program} program
   * @param {Model | null} model
   * @param {Projection} seen
   * @param {number} revealed
   */
  #prepare({ program, places }, model, seen, revealed) {
    if (!model) return;
    const gl = this.#gl;
    gl.useProgram(program);
    for (const name of /** @type {const} */ (["slope", "focal", "shear", "offset", "clip"])) {
      gl.uniform2fv(places[name], seen[name]);
    }
    gl.uniform1f(places.back, seen.back);
    gl.uniform1f(places.revealed, revealed);
    gl.uniform2f(places.range, model.low, model.high - model.low);
    ["photo", "fill", "outline"].forEach((name, unit) => gl.uniform1i(places[name], unit));
  }
}
