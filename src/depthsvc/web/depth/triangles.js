// Triangles of a photo's surfaces: few where a surface is flat, small ones along outlines, none across a step.

/** @import { Grid } from "./resize.js" */

/**
 * Triangles between vertices of three numbers: the place in the photo, fractions of its width and height from the top
 * left, and the nearness 0..1.
 * @typedef {{vertices: Float32Array<ArrayBuffer>, triangles: Uint32Array<ArrayBuffer>}} Mesh
 */

/** @typedef {{vertices: Float32Array<ArrayBuffer>, columns: number, rows: number}} Sheet a grid of vertices */

/**
 * What is known of each pixel: its byte of the outline, whether it is just beyond the front, whether it is no front.
 * @typedef {{outline: Uint8Array, isRim: Uint8Array, isFar: Float32Array, width: number, height: number}} Pixels
 */

/** The byte of an outline at which the front ends. */
export const OUTLINE = 128;
/** The byte from which nothing is seen through it. */
export const SOLID = 180;

const BORDER = 0.4; // of the photo: how far it goes on beyond its border, mirrored
const [LARGEST, SMALLEST] = [16, 2]; // squares each way that are two triangles together where the surface is flat
const FLAT = 0.02; // of the range of nearness: how far a flat surface may be off them
const APART = 0.02; // of that range: next to an outline, what is farther apart is cut

/**
 * The vertices of a grid and a ring around it that continues it beyond the photo's border.
 * @param {Grid} nearness
 * @param {number} stride pixels from one vertex to the next
 * @returns {Sheet}
 */
export function sheet({ values, width, height }, stride) {
  const [columns, rows] = [Math.ceil(width / stride), Math.ceil(height / stride)];
  const vertices = new Float32Array(3 * (columns + 2) * (rows + 2));
  /**
   * @param {number} place
   * @param {number} count
   * @param {number} length
   */
  const along = (place, count, length) => {
    const pixel = Math.min(Math.max(place, 0) * stride, length - 1);
    return { pixel, fraction: place < 0 ? -BORDER : place === count ? 1 + BORDER : (pixel + 0.5) / length };
  };
  let at = 0;
  for (let row = -1; row <= rows; row++) {
    const y = along(row, rows, height);
    for (let column = -1; column <= columns; column++) {
      const x = along(column, columns, width);
      vertices[at++] = x.fraction;
      vertices[at++] = y.fraction;
      vertices[at++] = values[y.pixel * width + x.pixel];
    }
  }
  return { vertices, columns: columns + 2, rows: rows + 2 };
}

/**
 * Two triangles for each square of a sheet that has some pixels in it, or is beside one that has.
 * @param {Sheet} sheet
 * @param {number} stride of the sheet
 * @param {Uint8Array} some pixels, other than 0
 * @param {number} width of the photo
 */
export function trianglesAt({ columns, rows }, stride, some, width) {
  const corners = [0, 1, columns, columns + 1];
  const isNear = new Uint8Array(columns * rows);
  some.forEach((value, at) => {
    const square = (Math.floor(at / width / stride) + 1) * columns + Math.floor((at % width) / stride) + 1;
    if (value) for (const corner of corners) isNear[square + corner] = 1;
  });
  /** @type {number[]} */
  const found = [];
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const at = row * columns + column;
      if (!corners.some((corner) => isNear[at + corner])) continue;
      found.push(at, at + columns, at + 1, at + 1, at + columns, at + columns + 1);
    }
  }
  return Uint32Array.from(found);
}

/**
 * The triangles of a sheet with a vertex a pixel, cut where the front ends: the whole ones, and those that have an
 * outline in them.
 * @param {Sheet} sheet
 * @param {Pixels} pixels
 */
export function cutTriangles({ vertices, columns, rows }, { outline, isRim, isFar, width, height }) {
  /** @param {number} vertex */
  const pixel = (vertex) => {
    const x = Math.min(Math.max((vertex % columns) - 1, 0), width - 1);
    const y = Math.min(Math.max(Math.floor(vertex / columns) - 1, 0), height - 1);
    return y * width + x;
  };
  /** @param {number} vertex */
  const nearness = (vertex) => vertices[3 * vertex + 2];
  /** @type {number[]} */
  const whole = [];
  /** @type {number[]} */
  const edges = [];
  /**
   * @param {number[]} found
   * @param {[number, number, number]} corners
   */
  const add = (found, ...corners) => {
    const isCut = corners.some((corner) => isRim[pixel(corner)]) && corners.some((corner) => isFar[pixel(corner)]);
    const [a, b, c] = corners.map(nearness);
    if (!isCut || Math.max(a, b, c) - Math.min(a, b, c) <= APART) found.push(...corners);
  };
  /**
   * @param {number} left
   * @param {number} top
   * @param {number} right
   * @param {number} bottom
   */
  const isFlat = (left, top, right, bottom) => {
    const [a, b] = [nearness(top * columns + left), nearness(top * columns + right)];
    const [c, d] = [nearness(bottom * columns + left), nearness(bottom * columns + right)];
    for (let row = top; row <= bottom; row++) {
      const v = (row - top) / (bottom - top);
      for (let column = left; column <= right; column++) {
        const [vertex, u] = [row * columns + column, (column - left) / (right - left)];
        if (isRim[pixel(vertex)] || outline[pixel(vertex)] < SOLID) return false;
        const expected = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d);
        if (Math.abs(nearness(vertex) - expected) > FLAT) return false;
      }
    }
    return true;
  };
  const blocks = blocksOf(columns, rows, isFlat);
  const isCorner = cornersOf(blocks, columns, rows);
  for (const block of blocks) {
    const { left, top, right, bottom, flat } = block;
    if (flat) {
      whole.push(...fan(block, columns, isCorner));
      continue;
    }
    for (let row = top; row < bottom; row++) {
      for (let at = row * columns + left; at < row * columns + right; at++) {
        const square = [at, at + 1, at + columns, at + columns + 1];
        const found = square.some((corner) => outline[pixel(corner)] < SOLID) ? edges : whole;
        add(found, at, at + columns, at + 1);
        add(found, at + 1, at + columns, at + columns + 1);
      }
    }
  }
  return { whole: Uint32Array.from(whole), edges: Uint32Array.from(edges) };
}

/**
 * Squares of a sheet between columns and rows of its vertices; flat ones have at least two each way.
 * @typedef {{left: number, top: number, right: number, bottom: number, flat: boolean}} Block
 */

/**
 * A sheet in blocks of squares, the largest first: each is flat, or as small as can be.
 * @param {number} columns
 * @param {number} rows
 * @param {(left: number, top: number, right: number, bottom: number) => boolean} isFlat
 */
function blocksOf(columns, rows, isFlat) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {[left: number, top: number][]} */
  let open = [];
  for (let top = 0; top + 1 < rows; top += LARGEST) {
    for (let left = 0; left + 1 < columns; left += LARGEST) open.push([left, top]);
  }
  for (let size = LARGEST; open.length; size /= 2) {
    /** @type {[left: number, top: number][]} */
    const next = [];
    for (const [left, top] of open) {
      const [right, bottom] = [Math.min(left + size, columns - 1), Math.min(top + size, rows - 1)];
      if (left >= right || top >= bottom) continue;
      const flat = right - left > 1 && bottom - top > 1 && isFlat(left, top, right, bottom);
      if (flat || size === SMALLEST) blocks.push({ left, top, right, bottom, flat });
      else for (const y of [top, top + size / 2]) next.push([left, y], [left + size / 2, y]);
    }
    open = next;
  }
  return blocks;
}

/**
 * The vertices of a sheet that triangles have as corners, 1: those of flat blocks, and all in the others.
 * @param {Block[]} blocks
 * @param {number} columns
 * @param {number} rows
 */
function cornersOf(blocks, columns, rows) {
  const isCorner = new Uint8Array(columns * rows);
  for (const { left, top, right, bottom, flat } of blocks) {
    const [across, down] = flat ? [right - left, bottom - top] : [1, 1];
    for (let row = top; row <= bottom; row += down) {
      for (let column = left; column <= right; column += across) isCorner[row * columns + column] = 1;
    }
  }
  return isCorner;
}

/**
 * The triangles of a flat block: two, or more about its middle if its sides meet smaller ones, so that no crack shows.
 * @param {Block} block
 * @param {number} columns
 * @param {Uint8Array} isCorner
 */
function fan({ left, top, right, bottom }, columns, isCorner) {
  /** @type {number[]} */
  const around = [];
  for (let row = top; row < bottom; row++) around.push(row * columns + left);
  for (let column = left; column < right; column++) around.push(bottom * columns + column);
  for (let row = bottom; row > top; row--) around.push(row * columns + right);
  for (let column = right; column > left; column--) around.push(top * columns + column);
  const corners = around.filter((vertex) => isCorner[vertex]);
  if (corners.length === 4) return [corners[0], corners[1], corners[3], corners[3], corners[1], corners[2]];
  const middle = ((top + bottom) >> 1) * columns + ((left + right) >> 1);
  return corners.flatMap((corner, index) => [middle, corner, corners[(index + 1) % corners.length]]);
}
