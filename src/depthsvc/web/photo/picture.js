// A photo and its depth, as the views need them.

/**
 * Have the browser decode a photo, upright as its EXIF data say; rejects if it cannot.
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
   * @param {Blob} photo the file
   * @param {HTMLImageElement} image from `decoded`
   * @param {Awaited<ReturnType<import("../service/api.js").depth>>} depth
   */
  constructor(photo, image, depth) {
    const name = photo.name || "photo";
    Object.assign(this, { photo, name, image, depth, width: image.naturalWidth, height: image.naturalHeight });
  }

  /** The file's name without its extension. */
  get stem() {
    return this.name.replace(/\.[^.]*$/, "");
  }

  /** The photo drawn at a size, on a canvas of its own. */
  drawn(width, height) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, width, height);
    return canvas;
  }

  /** RGBA at a size: Uint8ClampedArray (height, width, 4). */
  pixelsAt(width, height) {
    return this.drawn(width, height).getContext("2d").getImageData(0, 0, width, height).data;
  }

  /** Give its memory back. */
  release() {
    URL.revokeObjectURL(this.image.src);
  }
}

/** Size in pixels for a canvas that fills an element: [width, height], the longer at most `longest`. */
export function sizeOn(element, picture, longest) {
  const width = Math.min(element.clientWidth * devicePixelRatio, longest * Math.min(1, picture.width / picture.height));
  return [Math.max(1, Math.round(width)), Math.max(1, Math.round((width * picture.height) / picture.width))];
}
