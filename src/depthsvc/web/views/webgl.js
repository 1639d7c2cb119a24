// The little of WebGL that the 3-D view and the refocused photo share.

/** A WebGL 2 context for a canvas, or null where the browser has none. */
export function context(canvas, options) {
  return canvas.getContext("webgl2", options);
}

function shader(gl, kind, source) {
  const result = gl.createShader(kind);
  gl.shaderSource(result, `#version 300 es\nprecision highp float;\n${source}`);
  gl.compileShader(result);
  return result;
}

/** A linked program with its uniforms' places by name. */
export function program(gl, vertexSource, fragmentSource) {
  const result = gl.createProgram();
  gl.attachShader(result, shader(gl, gl.VERTEX_SHADER, vertexSource));
  gl.attachShader(result, shader(gl, gl.FRAGMENT_SHADER, fragmentSource));
  gl.linkProgram(result);
  if (!gl.getProgramParameter(result, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getProgramInfoLog(result));
  }
  const count = gl.getProgramParameter(result, gl.ACTIVE_UNIFORMS);
  const names = Array.from({ length: count }, (_, index) => gl.getActiveUniform(result, index).name);
  const places = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(result, name)]));
  return { program: result, places };
}

/** Put values into a buffer and feed them to attribute `index`, three of them a vertex. */
export function attribute(gl, index, buffer, values, type, normalize) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(index);
  gl.vertexAttribPointer(index, 3, type, normalize, 0, 0);
}

/** A texture that is clamped at its edges. */
export function texture(gl, filter) {
  const result = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, result);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return result;
}
