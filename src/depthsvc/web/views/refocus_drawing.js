// The photo refocused by its depth, as through a wide lens.
//
// First the network's soft depth is aligned with the photo's own edges: each pixel gets the mean of its neighbours that
// look like it (joint bilateral upsampling; Kopf, Cohen, Lischinski and Uyttendaele, 2007). Then each pixel gathers, in
// linear light, what spreads over it: a neighbour counts if its own blur reaches that far, and what is behind never
// spreads over what is sharper in front. So no halo grows around a sharp foreground.

/** @import { Grid } from "../depth/resize.js" */
/** @import { Place } from "./cursor.js" */

import { context, program, texture } from "./webgl.js";

const VERTEX = `
  out vec2 at;
  void main() {
    at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;
    gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
  }`;
const PACKING = `
  vec4 pack(float near) {
    float high = floor(near * 255.0) / 255.0;
    return vec4(high, (near - high) * 255.0, 0.0, 1.0);
  }
  float unpack(vec4 texel) { return texel.r + texel.g / 255.0; }`;
const COPY = `${PACKING}
  in vec2 at;
  out vec4 pixel;
  uniform sampler2D nearness;
  void main() { pixel = pack(clamp(texture(nearness, at).r, 0.0, 1.0)); }`;
const SHARPEN = `${PACKING}
  in vec2 at;
  out vec4 pixel;
  uniform sampler2D photo, nearness;
  uniform vec2 pitch;  // of the grid of neighbours
  void main() {
    vec3 own = texture(photo, at).rgb;
    float sum = 0.0, weights = 0.0;
    for (int y = -4; y <= 4; y++) for (int x = -4; x <= 4; x++) {
      vec2 there = at + vec2(x, y) * pitch;
      vec3 other = texture(photo, there).rgb - own;
      float weight = exp(-float(x * x + y * y) / 14.0 - dot(other, other) * 160.0);
      sum += weight * unpack(texture(nearness, there));
      weights += weight;
    }
    pixel = pack(sum / weights);
  }`;
const GATHER = `${PACKING}
  in vec2 at;
  out vec4 pixel;
  uniform sampler2D photo, nearness;
  uniform vec2 texel;
  uniform float focus, longest;  // nearness; radius in pixels of the strongest blur
  const int SAMPLES = 160;
  const float SHARP = 0.06;  // what is within this distance of the focus is sharp: a face has depth, too
  float blur(float near) {
    return longest * clamp((abs(near - focus) - SHARP) / (max(focus, 1.0 - focus) - SHARP), 0.0, 1.0);
  }
  vec3 light(vec2 there) { return pow(texture(photo, there).rgb, vec3(2.2)); }
  void main() {
    float own = unpack(texture(nearness, at));
    float ownBlur = blur(own);
    vec3 sum = light(at);
    float weights = 1.0;
    for (int index = 1; index < SAMPLES; index++) {
      float radius = longest * sqrt(float(index) / float(SAMPLES));
      float angle = float(index) * 2.39996323;  // the golden angle, which spreads them evenly
      vec2 there = at + radius * vec2(cos(angle), sin(angle)) * texel;
      float near = unpack(texture(nearness, there));
      float reach = near < own ? min(blur(near), ownBlur) : blur(near);
      float weight = smoothstep(radius - 1.0, radius + 1.0, reach);
      sum += weight * light(there);
      weights += weight;
    }
    pixel = vec4(pow(sum / weights, vec3(1.0 / 2.2)), 1.0);
  }`;

const PASSES = 2; // of sharpening
const LARGEST_BLUR = 0.03; // its radius, as a fraction of the photo's longer side

/** One refocused photo on one canvas. */
export class Bokeh {
  #gl;
  #frame = 0;
  #made;

  /**
   * Throws if the browser has no WebGL.
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} reload called when the browser has taken the canvas away and given it back empty
   */
  constructor(canvas, reload) {
    this.canvas = canvas;
    this.#gl = context(canvas, () => {
      this.#made = this.#prepared();
      reload();
    });
    this.#made = this.#prepared();
  }

  #prepared() {
    const gl = this.#gl;
    return {
      programs: {
        copy: program(gl, VERTEX, COPY),
        sharpen: program(gl, VERTEX, SHARPEN),
        gather: program(gl, VERTEX, GATHER),
      },
      photo: texture(gl, gl.LINEAR),
      maps: [texture(gl, gl.NEAREST), texture(gl, gl.NEAREST)],
      framebuffer: gl.createFramebuffer(),
    };
  }

  /**
   * Load a photo, for `draw`.
   * @param {HTMLCanvasElement} photo at the canvas's size
   * @param {Grid} nearness 0..1, at the canvas's size
   * @param {number} cell how many of the canvas's pixels one of the network's spans
   */
  load(photo, nearness, cell) {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
    gl.bindTexture(gl.TEXTURE_2D, this.#made.photo);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, photo);
    for (const map of this.#made.maps) {
      gl.bindTexture(gl.TEXTURE_2D, map);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    }
    const rough = texture(gl, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, width, height, 0, gl.RED, gl.FLOAT, nearness.values);
    this.#pass("copy", this.#made.maps[0], { nearness: rough });
    gl.deleteTexture(rough);
    /** @type {[number, number]} */
    const pitch = [(cell * 0.45) / width, (cell * 0.45) / height];
    for (let count = 0; count < PASSES; count++) {
      this.#pass("sharpen", this.#made.maps[1], { photo: this.#made.photo, nearness: this.#made.maps[0] }, { pitch });
      this.#made.maps.reverse();
    }
  }

  /**
   * Draw before the next frame, once for any number of calls.
   * @param {number} focus nearness 0..1 that is sharp
   * @param {number} strength 0..1
   */
  draw(focus, strength) {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const { width, height } = this.canvas;
      const longest = strength * LARGEST_BLUR * Math.max(width, height);
      const inputs = { photo: this.#made.photo, nearness: this.#made.maps[0] };
      this.#pass("gather", null, inputs, { texel: [1 / width, 1 / height], focus: [focus], longest: [longest] });
    });
  }

  /**
   * Nearness 0..1 at a place, aligned with the photo's edges.
   * @param {Place} place
   */
  nearnessAt({ x, y }) {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    const texel = new Uint8Array(4);
    this.#target(this.#made.maps[0]);
    gl.readPixels(pixelAt(x, width), pixelAt(1 - y, height), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, texel);
    this.#target(null);
    return texel[0] / 255 + texel[1] / 65025;
  }

  /**
   * Draw into a texture, or onto the canvas.
   * @param {WebGLTexture | null} map
   */
  #target(map) {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, map && this.#made.framebuffer);
    if (map) gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, map, 0);
  }

  /**
   * Run a program over the whole picture.
   * @param {"copy" | "sharpen" | "gather"} name
   * @param {WebGLTexture | null} target null for the canvas
   * @param {Record<string, WebGLTexture>} textures by uniform
   * @param {Record<string, [number] | [number, number]>} numbers by uniform
   */
  #pass(name, target, textures, numbers = {}) {
    const gl = this.#gl;
    const { program, places } = this.#made.programs[name];
    this.#target(target);
    gl.useProgram(program);
    Object.entries(textures).forEach(([uniform, map], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, map);
      gl.uniform1i(places[uniform], unit);
    });
    gl.activeTexture(gl.TEXTURE0);
    for (const [uniform, values] of Object.entries(numbers)) {
      if (values.length === 1) gl.uniform1fv(places[uniform], values);
      else gl.uniform2fv(places[uniform], values);
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.#target(null);
  }
}

/**
 * @param {number} fraction 0..1 of the way along a side
 * @param {number} size of that side in pixels
 */
const pixelAt = (fraction, size) => Math.min(Math.max(Math.floor(fraction * size), 0), size - 1);
