// A photo and its depth, as the views need them.

/** @import { Depth } from "../service/api.js" */

import { context2d, newCanvas } from "../canvas.js";

/**
 * Have the browser decode a photo, upright as its EXIF data say; rejects if it can't.
 * @param {Blob} photo
 * @returns {Promise<HTMLImageElement>}
 */
export async function decoded(photo) {
  const image = new Image();
  image.src = URL.createObjectURL(photo);
  await image.decode();
  return image;
}

/** One photo with the depth that the service found in it. */
export class Picture {
  /**
   * @param {File} photo
   * @param {HTMLImageElement} image from `decoded`
   * @param {Depth} depth
   */
  constructor(photo, image, depth) {
    this.photo = photo;
    this.name = photo.name || "photo";
    this.image = image;
    this.depth = depth;
    this.width = image.naturalWidth;
    this.height = image.naturalHeight;
  }

  /** The file's name without its extension. */
  get stem() {
    return this.name.replace(/\.[^.]*$/, "");
  }

  /**
   * The photo at another size, on a canvas of its own.
   * @param {number} width
   * @param {number} height
   */
  drawn(width, height) {
    const canvas = newCanvas(width, height);
    const context = context2d(canvas, { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, width, height);
    return canvas;
  }

  /**
   * RGBA at another size: (height, width, 4).
   * @param {number} width
   * @param {number} height
   * @returns {Uint8ClampedArray}
   */
  pixelsAt(width, height) {
    return context2d(this.drawn(width, height)).getImageData(0, 0, width, height).data;
  }

  /** Free its memory. */
  release() {
    URL.revokeObjectURL(this.image.src);
  }
}

/**
 * The size in pixels of a canvas that fills an element.
 * @param {HTMLElement} element
 * @param {Picture} picture
 * @param {number} longest bound on its longer side
 * @returns {[width: number, height: number]}
 */
export function sizeOn(element, picture, longest) {
  const width = Math.min(element.clientWidth * devicePixelRatio, longest * Math.min(1, picture.width / picture.height));
  return [Math.max(1, Math.round(width)), Math.max(1, Math.round((width * picture.height) / picture.width))];
}
