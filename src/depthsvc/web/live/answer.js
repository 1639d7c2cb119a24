// The service's answer to one frame, as it comes through a WebSocket.

/** @import { Kind } from "../depth/kind.js" */
/** @import { Range } from "../depth/nearness.js" */
/** @import { NetworkMap } from "../depth/resize.js" */

import { fromFloat16 } from "../depth/float16.js";
import { Problem } from "../service/api.js";

/**
 * What stands in one column of the picture: where, as fractions of the width; relative nearness 0..1; its distance if
 * the model predicts metres; seconds until it is reached if it comes closer.
 * @typedef {{left: number, right: number, nearness: number, metres: number | null, contact_s: number | null}} Obstacle
 */

/**
 * Depth of the frame `id` on the network's grid, and the range of inverse depth to colour it by.
 * @typedef {{id: number, map: NetworkMap, range: Range, obstacles: Obstacle[]}} Answer
 */

/**
 * An answer from a message: the length of the header in 4 bytes (little-endian), the header (JSON), float16 depth.
 * @param {ArrayBuffer} message
 * @param {Kind} kind of the session's depth
 * @returns {Answer}
 * @throws {Problem} if it is none
 */
export function answerOf(message, kind) {
  const { header, payload } = parts(message);
  const { id, low, high, shape, obstacles } = header;
  const [height, width] = shape;
  if (payload.byteLength !== 2 * height * width) throw unexpected();
  const map = { values: fromFloat16(payload), width, height, kind, enlargement: null };
  return { id, map, range: [low, high], obstacles: obstacles ?? [] };
}

/** @param {ArrayBuffer} message */
function parts(message) {
  try {
    const length = new DataView(message).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
    return { header, payload: message.slice(4 + length) };
  } catch {
    throw unexpected();
  }
}

const unexpected = () => new Problem({ status: 200, code: "other" });
