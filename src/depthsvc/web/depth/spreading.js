// Values that are known at some pixels, spread smoothly to all others.

/** @typedef {{values: Float32Array, weights: Float32Array, width: number, height: number}} Level of a pyramid */

const CHANNELS = 4;

/**
 * Half the size: means of the known values of four pixels each, with the greatest of their weights.
 * @param {Level} level
 * @returns {Level}
 */
function pulled({ values, weights, width, height }) {
  const [columns, rows] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const half = { values: new Float32Array(CHANNELS * columns * rows), weights: new Float32Array(columns * rows) };
  const sums = new Float32Array(columns * rows);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!weights[at]) continue;
      const to = (y >> 1) * columns + (x >> 1);
      sums[to] += weights[at];
      half.weights[to] = Math.max(half.weights[to], weights[at]);
      for (let channel = 0; channel < CHANNELS; channel++) {
        half.values[CHANNELS * to + channel] += weights[at] * values[CHANNELS * at + channel];
      }
    }
  }
  sums.forEach((sum, at) => {
    for (let channel = 0; sum && channel < CHANNELS; channel++) half.values[CHANNELS * at + channel] /= sum;
  });
  return { ...half, width: columns, height: rows };
}

/**
 * Have what is not known at a level be what the coarser one says there.
 * @param {Level} fine
 * @param {Level} coarse that knows all
 */
function push({ values, weights, width, height }, coarse) {
  const columns = coarse.width;
  for (let y = 0, at = 0; y < height; y++) {
    const down = Math.min(Math.max((y - 0.5) / 2, 0), coarse.height - 1);
    const top = Math.floor(down);
    const bottom = Math.min(top + 1, coarse.height - 1);
    for (let x = 0; x < width; x++, at++) {
      const weight = weights[at];
      if (weight === 1) continue;
      const across = Math.min(Math.max((x - 0.5) / 2, 0), columns - 1);
      const left = Math.floor(across);
      const right = Math.min(left + 1, columns - 1);
      const [u, v] = [across - left, down - top];
      for (let channel = 0; channel < CHANNELS; channel++) {
        /**
         * @param {number} row
         * @param {number} column
         */
        const other = (row, column) => coarse.values[CHANNELS * (row * columns + column) + channel];
        const above = (1 - u) * other(top, left) + u * other(top, right);
        const below = (1 - u) * other(bottom, left) + u * other(bottom, right);
        const place = CHANNELS * at + channel;
        values[place] = weight * values[place] + (1 - weight) * ((1 - v) * above + v * below);
      }
    }
  }
}

/**
 * Fill a level: pull and push, after Gortler et al., "The Lumigraph" (1996). Without anything known it becomes 0.
 * @param {Level} level changed in place; four values a pixel; weights 0..1, which say how well they are known
 */
export function spreadKnown(level) {
  const levels = [level];
  for (let last = level; last.width * last.height > 1; levels.push(last)) last = pulled(last);
  for (let index = levels.length - 2; index >= 0; index--) push(levels[index], levels[index + 1]);
}
