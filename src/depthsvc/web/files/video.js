// Videos of what a canvas shows.

const TYPES = ["video/webm;codecs=vp8", "video/webm", "video/mp4"]; // VP8 costs least; Safari may have MP4 alone

/** The type of video that this browser records; empty if it records none. */
export const recordedType = () => {
  const canRecord = "MediaRecorder" in window && "captureStream" in HTMLCanvasElement.prototype;
  return (canRecord && TYPES.find((type) => MediaRecorder.isTypeSupported(type))) || "";
};

/** The name of its format. */
export const recordedFormat = () => (recordedType().startsWith("video/mp4") ? "MP4" : "WebM");

/**
 * Begin to record a canvas.
 * @param {HTMLCanvasElement} canvas that has a context
 * @param {number} bitsPerSecond
 * @returns {{recorder: MediaRecorder, video: Promise<Blob>}} the video is there when the recorder has stopped
 */
export function recordingOf(canvas, bitsPerSecond) {
  const options = { mimeType: recordedType(), videoBitsPerSecond: bitsPerSecond };
  const recorder = new MediaRecorder(canvas.captureStream(), options);
  /** @type {Blob[]} */
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  /** @type {Promise<Blob>} */
  const video = new Promise((resolve) => {
    const type = options.mimeType.split(";")[0];
    recorder.addEventListener("stop", () => resolve(new Blob(parts, { type })));
  });
  recorder.start(1000);
  return { recorder, video };
}
