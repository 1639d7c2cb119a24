// A photo and its depth while another one is shown: files and blobs, which the browser need not hold in memory.

/** @import { Depth } from "../service/api.js" */

import { fromFloat16, toFloat16 } from "../depth/float16.js";
import { decoded, Picture } from "./picture.js";

/**
 * What a picture is made of, as browsers can store it; `values`: float16, `width` and `height`: of the photo in pixels.
 * @typedef {{photo: File, seen: Blob, isShrunk: boolean, about: Omit<Depth, "values">, values: Blob, width: number,
 *     height: number, stem: string}} Parts
 */

/** A picture that can be opened again. */
export class Kept {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.size = { width: parts.width, height: parts.height };
  }

  /** @param {Picture} picture */
  static of({ photo, seen, isShrunk, depth, width, height, stem }) {
    const { values, ...about } = depth;
    const halves = new Blob([toFloat16(values)]); // the service's own float16: nothing is lost
    return new Kept({ photo, seen, isShrunk, about, values: halves, width, height, stem });
  }

  /** How much it takes to store. */
  get bytes() {
    const { photo, seen, values } = this.parts;
    return photo.size + (seen === photo ? 0 : seen.size) + values.size;
  }

  /** @returns {Promise<Depth>} */
  async depth() {
    const { about, values } = this.parts;
    return { ...about, values: fromFloat16(await values.arrayBuffer()) };
  }

  /** The picture; whoever gets it has to release it. */
  async picture() {
    const { photo, seen, isShrunk } = this.parts;
    return new Picture(photo, seen, await decoded(seen), await this.depth(), isShrunk);
  }
}
