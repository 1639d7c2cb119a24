// Texture for what is not seen, made of patches of what is.
//
// After Barnes et al., "PatchMatch" (2009), and Wexler et al., "Space-Time Completion of Video" (2007): each pixel that
// is wanted has a match, around which the known pixels look most like those around it; what all patches that contain a
// pixel say of it becomes its colour, and so on, from a small copy of the picture to itself.

/**
 * R, G, B and another value a pixel, which is left as it is; which pixels are wanted, 1, and which may be copied, 1.
 * @typedef {{values: Float32Array, wanted: Uint8Array, known: Uint8Array, width: number, height: number}} Picture
 */

/**
 * For each pixel the known one in the middle of the patch that is most like its own, and how unlike they are.
 * @typedef {{match: Int32Array, cost: Float32Array}} Matches
 */

const RADIUS = 2; // of a patch, in pixels
const ROUNDS = [1, 2, 3, 6]; // from the picture itself to its smallest copy, each half as large
const TRIES = 4; // at random, for each pixel in each round
const FAR = 0.25; // of the longer side: the first of them are as far from the match as this at most
const NEARER = 3; // times as near are the next
const WAY = 4000; // squared difference of colours that is as bad as a way of the longer side
const GOOD = 20; // squared difference of colours that makes little difference to a patch's say

/**
 * Numbers 0..1 that look random and are the same every time.
 * @returns {() => number}
 */
function randomNumbers() {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * A copy of half the size, where pixels are wanted if one of four is, and known if all are.
 * @param {Picture} picture
 * @returns {Picture}
 */
function halved({ values, wanted, known, width, height }) {
  const [columns, rows] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const small = {
    values: new Float32Array(4 * columns * rows),
    wanted: new Uint8Array(columns * rows),
    known: new Uint8Array(columns * rows).fill(1),
    width: columns,
    height: rows,
  };
  const counts = new Uint8Array(columns * rows);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const to = (y >> 1) * columns + (x >> 1);
      counts[to]++;
      small.wanted[to] |= wanted[at];
      small.known[to] &= known[at];
      for (let channel = 0; channel < 4; channel++) small.values[4 * to + channel] += values[4 * at + channel];
    }
  }
  for (let at = 0; at < small.values.length; at++) small.values[at] /= counts[at >> 2];
  return small;
}

/**
 * The pixels around which a whole patch is known, 1.
 * @param {Picture} picture
 */
function middles({ known, width, height }) {
  const found = new Uint8Array(known.length);
  for (let y = RADIUS; y < height - RADIUS; y++) {
    for (let x = RADIUS; x < width - RADIUS; x++) {
      let all = 1;
      for (let row = y - RADIUS; all && row <= y + RADIUS; row++) {
        for (let column = x - RADIUS; all && column <= x + RADIUS; column++) all = known[row * width + column];
      }
      found[y * width + x] = all;
    }
  }
  return found;
}

/**
 * For each pixel the nearest of some.
 * @param {Uint8Array} some
 * @param {number} width
 */
function nearest(some, width) {
  const match = Int32Array.from(some, (is, at) => (is ? at : -1));
  let reached = Array.from(match).filter((at) => at >= 0);
  while (reached.length) {
    /** @type {number[]} */
    const next = [];
    for (const at of reached) {
      const x = at % width;
      for (const other of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (match[other] !== -1) continue;
        match[other] = match[at];
        next.push(other);
      }
    }
    reached = next;
  }
  return match;
}

/**
 * The matches of a picture from those of its copy of half the size.
 * @param {Int32Array} small
 * @param {Picture} picture
 */
function doubled(small, { width, height }) {
  const columns = Math.ceil(width / 2);
  const match = new Int32Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const other = small[(y >> 1) * columns + (x >> 1)];
      match[at] = (2 * Math.floor(other / columns) + (y & 1)) * width + 2 * (other % columns) + (x & 1);
    }
  }
  return match;
}

/**
 * How unlike the patches around two pixels are, as the mean squared difference of their colours, and more for a way
 * between them. What is above a bound need not be exact.
 * @param {Picture} picture
 * @param {number} at
 * @param {number} other
 * @param {number} bound
 */
function apart({ values, width, height }, at, other, bound) {
  const [x, y] = [at % width, (at / width) | 0];
  const [right, down] = [(other % width) - x, ((other / width) | 0) - y];
  const way = (WAY * (right * right + down * down)) / Math.max(width, height) ** 2;
  const [left, last] = [Math.max(x - RADIUS, 0), Math.min(x + RADIUS, width - 1)];
  const [top, bottom] = [Math.max(y - RADIUS, 0), Math.min(y + RADIUS, height - 1)];
  const count = (last - left + 1) * (bottom - top + 1);
  const most = (bound - way) * count;
  let sum = 0;
  for (let row = top; row <= bottom && sum < most; row++) {
    let own = 4 * (row * width + left);
    let its = own + 4 * (other - at);
    for (let column = left; column <= last; column++, own += 4, its += 4) {
      const red = values[own] - values[its];
      const green = values[own + 1] - values[its + 1];
      const blue = values[own + 2] - values[its + 2];
      sum += red * red + green * green + blue * blue;
    }
  }
  return sum / count + way;
}

/**
 * Look for better matches: those of the pixels just looked at, moved along, and some at random about the present one.
 * @param {Picture} picture
 * @param {Matches} matches changed in place
 * @param {number[]} pixels in the order of rows, or the reverse
 * @param {1 | -1} forth or back
 * @param {Uint8Array} allowed
 * @param {() => number} random
 */
function improve(picture, { match, cost }, pixels, forth, allowed, random) {
  const { wanted, width, height } = picture;
  /**
   * @param {number} at
   * @param {number} other
   */
  const offer = (at, other) => {
    if (!allowed[other] || other === match[at]) return;
    const unlike = apart(picture, at, other, cost[at]);
    if (unlike < cost[at]) [match[at], cost[at]] = [other, unlike];
  };
  for (const at of pixels) {
    for (const step of [forth, forth * width]) if (wanted[at - step]) offer(at, match[at - step] + step);
    for (let times = 0, radius = FAR * Math.max(width, height); times < TRIES; times++, radius /= NEARER) {
      const x = Math.round((match[at] % width) + (2 * random() - 1) * radius);
      const y = Math.round(Math.floor(match[at] / width) + (2 * random() - 1) * radius);
      if (x >= 0 && x < width && y >= 0 && y < height) offer(at, y * width + x);
    }
  }
}

/**
 * Give each pixel the colour that the matches of all patches with it have there: the better they are, the more they say.
 * @param {Picture} picture changed in place
 * @param {Matches} matches
 * @param {number[]} pixels
 */
function vote({ values, wanted, width, height }, { match, cost }, pixels) {
  for (const at of pixels) {
    const [x, y] = [at % width, Math.floor(at / width)];
    let [red, green, blue, sum] = [0, 0, 0, 0];
    for (let row = Math.max(y - RADIUS, 0); row <= Math.min(y + RADIUS, height - 1); row++) {
      for (let column = Math.max(x - RADIUS, 0); column <= Math.min(x + RADIUS, width - 1); column++) {
        const other = row * width + column;
        if (!wanted[other]) continue;
        const from = 4 * (match[other] + at - other);
        const say = 1 / (GOOD + cost[other]) ** 2;
        red += say * values[from];
        green += say * values[from + 1];
        blue += say * values[from + 2];
        sum += say;
      }
    }
    values.set([red / sum, green / sum, blue / sum], 4 * at);
  }
}

/**
 * Give the pixels that are wanted colours. Where no whole patch is known, they stay as they are.
 * @param {Picture} picture changed in place
 */
export function fillWithPatches(picture) {
  const levels = [picture];
  while (levels.length < ROUNDS.length) levels.push(halved(levels[levels.length - 1]));
  const random = randomNumbers();
  /** @type {Int32Array | null} */
  let small = null;
  for (let index = levels.length - 1; index >= 0; index--) {
    const level = levels[index];
    const allowed = middles(level);
    if (!allowed.includes(1)) continue;
    const pixels = Array.from(level.wanted.keys()).filter((at) => level.wanted[at]);
    /** @type {Int32Array} */
    const match = small ? doubled(small, level) : nearest(allowed, level.width);
    const matches = { match, cost: new Float32Array(match.length) };
    vote(level, matches, pixels);
    for (let round = 0; round < ROUNDS[index]; round++) {
      for (const at of pixels) matches.cost[at] = apart(level, at, match[at], Infinity);
      improve(level, matches, pixels, 1, allowed, random);
      improve(level, matches, pixels.toReversed(), -1, allowed, random);
      vote(level, matches, pixels);
    }
    small = match;
  }
}
