// Half-precision floats, which not every browser supports yet.

const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);
const STEPS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 25)); // of a fraction, by exponent

/** @param {number} half its bits */
function halfToNumber(half) {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const size = exponent ? STEPS[exponent] * (1024 + fraction) : 2 ** -24 * fraction;
  return half & 0x8000 ? -size : size;
}

/**
 * The bits of the half nearest to a number, ties to even; 65504 for what is larger.
 * @param {number} value >= 0
 */
function numberToHalf(value) {
  if (value >= 65504) return 0x7bff;
  if (value < 2 ** -14) {
    const scaled = value * 2 ** 24;
    const floor = Math.floor(scaled);
    const up = scaled - floor > 0.5 || (scaled - floor === 0.5 && floor & 1);
    return floor + (up ? 1 : 0);
  }
  number[0] = value;
  const rounded = bits[0] + 0xfff + ((bits[0] >> 13) & 1);
  return (rounded - (112 << 23)) >> 13;
}

/**
 * Numbers from little-endian float16.
 * @param {ArrayBuffer} buffer
 * @returns {Float32Array}
 */
export function fromFloat16(buffer) {
  const view = new DataView(buffer);
  const result = new Float32Array(buffer.byteLength / 2);
  for (let at = 0; at < result.length; at++) result[at] = halfToNumber(view.getUint16(2 * at, true));
  return result;
}

/**
 * Little-endian float16 from numbers.
 * @param {Float32Array} values finite, >= 0
 * @returns {Uint8Array<ArrayBuffer>} two bytes a value
 */
export function toFloat16(values) {
  const result = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, at) => result.setUint16(2 * at, numberToHalf(value), true));
  return new Uint8Array(result.buffer);
}
