// The little of WebGL that the 3-D view and the refocused photo share.

/** @typedef {{program: WebGLProgram, places: Record<string, WebGLUniformLocation | null>}} Program uniforms by name */

/**
 * The WebGL 2 context of a canvas. Throws if the browser has none.
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} again called when the browser has taken the canvas away and given it back empty
 */
export function context(canvas, again) {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
  if (!gl) throw new Error("This browser has no WebGL 2.");
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault()); // or it does not come back
  canvas.addEventListener("webglcontextrestored", again);
  return gl;
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {GLenum} kind
 * @param {string} source
 */
function shader(gl, kind, source) {
  const result = gl.createShader(kind);
  if (!result) throw new Error("The WebGL context makes no shaders.");
  gl.shaderSource(result, `#version 300 es\nprecision highp float;\n${source}`);
  gl.compileShader(result);
  return result;
}

/**
 * A linked program.
 * @param {WebGL2RenderingContext} gl
 * @param {string} vertexSource
 * @param {string} fragmentSource
 * @returns {Program}
 */
export function program(gl, vertexSource, fragmentSource) {
  const result = gl.createProgram();
  gl.attachShader(result, shader(gl, gl.VERTEX_SHADER, vertexSource));
  gl.attachShader(result, shader(gl, gl.FRAGMENT_SHADER, fragmentSource));
  gl.linkProgram(result);
  if (!gl.getProgramParameter(result, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getProgramInfoLog(result) ?? "The WebGL program can't be linked.");
  }
  const count = gl.getProgramParameter(result, gl.ACTIVE_UNIFORMS);
  const names = Array.from({ length: count }, (_, index) => gl.getActiveUniform(result, index)?.name ?? "");
  const places = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(result, name)]));
  return { program: result, places };
}

/**
 * Put values into a buffer and feed them to an attribute, three of them a vertex.
 * @param {WebGL2RenderingContext} gl
 * @param {number} index of the attribute
 * @param {WebGLBuffer} buffer
 * @param {BufferSource} values
 * @param {GLenum} type
 * @param {boolean} normalize
 */
export function attribute(gl, index, buffer, values, type, normalize) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(index);
  gl.vertexAttribPointer(index, 3, type, normalize, 0, 0);
}

/**
 * A texture, bound to the active unit.
 * @param {WebGL2RenderingContext} gl
 * @param {GLenum} filter
 * @param {GLenum} wrap what is beyond its edges
 */
export function texture(gl, filter, wrap = gl.CLAMP_TO_EDGE) {
  const result = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, result);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, wrap);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, wrap);
  return result;
}
