// A photo and its depth, as the views need them.

/** @import { Depth } from "../service/api.js" */

import { context2d, jpegOf, newCanvas } from "../canvas.js";

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

const GROUND = "rgb(192 192 192)"; // as the service's

/**
 * A copy of a photo with fewer pixels and bytes, a JPEG; rejects if the browser can't decode the photo.
 * @param {File} photo
 * @param {number} most pixels
 * @returns {Promise<File>}
 */
export async function shrunk(photo, most) {
  const image = await decoded(photo);
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = Math.min(1, Math.sqrt(most / (width * height)));
  const canvas = newCanvas(Math.max(1, Math.floor(scale * width)), Math.max(1, Math.floor(scale * height)));
  const context = context2d(canvas);
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  const blob = await jpegOf(canvas);
  return new File([blob], photo.name, { type: blob.type });
}

/**
 * Whether a browser certainly shows a photo turned as the service sees it. Browsers follow the EXIF data of JPEG files,
 * but not XMP, nor EXIF in every format; the depth's own shape tells whether a quarter turn was made.
 * @param {HTMLImageElement} image
 * @param {Depth} depth
 */
export function agrees(image, { orientation, width, height }) {
  const seen = Math.log(image.naturalWidth / image.naturalHeight);
  const wanted = Math.log(width / height);
  const isSquare = Math.abs(seen) < 0.2 || Math.abs(wanted) < 0.2;
  if (orientation === 1) return isSquare || seen * wanted > 0;
  return orientation >= 5 && !isSquare && seen * wanted > 0;
}

/** One photo with the depth that the service found in it. */
export class Picture {
  /**
   * @param {File} photo
   * @param {Blob} seen the photo as `image` shows it
   * @param {HTMLImageElement} image from `decoded`
   * @param {Depth} depth
   * @param {boolean} isShrunk whether `photo` is a smaller copy
   */
  constructor(photo, seen, image, depth, isShrunk) {
    this.photo = photo;
    this.seen = seen;
    this.isShrunk = isShrunk;
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
   * @param {string} ground the colour behind what is transparent; empty: it stays so
   */
  drawn(width, height, ground = GROUND) {
    const canvas = newCanvas(width, height);
    const context = context2d(canvas, { willReadFrequently: true });
    if (ground) {
      context.fillStyle = ground;
      context.fillRect(0, 0, width, height);
    }
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, width, height);
    return canvas;
  }

  /**
   * RGBA at another size: (height, width, 4), with transparency.
   * @param {number} width
   * @param {number} height
   * @returns {Uint8ClampedArray}
   */
  pixelsAt(width, height) {
    return context2d(this.drawn(width, height, "")).getImageData(0, 0, width, height).data;
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
