// A photo and its depth while another one is shown: files and blobs, which the browser need not hold in memory.

/** @import { Depth } from "../service/api.js" */

import { fromFloat16, toFloat16 } from "../depth/float16.js";
import { decoded, Picture } from "./picture.js";

/** A picture that can be opened again. */
export class Kept {
  #photo;
  #seen;
  #isShrunk;
  #about;
  #values;

  /** @param {Picture} picture */
  constructor({ photo, seen, isShrunk, depth, width, height, stem }) {
    const { values, ...about } = depth;
    this.#photo = photo;
    this.#seen = seen;
    this.#isShrunk = isShrunk;
    this.#about = about;
    this.#values = new Blob([toFloat16(values)]); // the service's own float16: nothing is lost
    this.size = { width, height };
    this.stem = stem;
  }

  /** @returns {Promise<Depth>} */
  async depth() {
    return { ...this.#about, values: fromFloat16(await this.#values.arrayBuffer()) };
  }

  /** The picture; whoever gets it has to release it. */
  async picture() {
    return new Picture(this.#photo, this.#seen, await decoded(this.#seen), await this.depth(), this.#isShrunk);
  }
}
