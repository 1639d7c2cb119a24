// A photo from the device's camera.

import { context2d, jpegOf, newCanvas } from "../canvas.js";

/**
 * @typedef {{button: HTMLElement, capture: HTMLInputElement, dialog: HTMLDialogElement, video: HTMLVideoElement,
 *     shoot: HTMLElement, close: HTMLElement}} Elements
 */

const isPhone = () => matchMedia("(pointer: coarse)").matches;

/** @param {HTMLVideoElement} video */
function stop(video) {
  if (video.srcObject instanceof MediaStream) video.srcObject.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

/** @param {HTMLVideoElement} video */
async function shot(video) {
  const canvas = newCanvas(video.videoWidth, video.videoHeight);
  context2d(canvas).drawImage(video, 0, 0);
  return new File([await jpegOf(canvas)], "camera.jpg", { type: "image/jpeg" });
}

/**
 * Offer the camera: a phone's own camera app, or a viewfinder in a dialog. The button stays hidden if there is neither:
 * browsers give the camera only to pages from this machine or over HTTPS.
 * @param {Elements} elements
 * @param {(photo: File) => void} onPhoto
 * @param {(code: "cameraDenied" | "cameraMissing") => void} onFailure
 */
export function fromCamera({ button, capture, dialog, video, shoot, close }, onPhoto, onFailure) {
  const hasViewfinder = Boolean(navigator.mediaDevices?.getUserMedia);
  button.hidden = !hasViewfinder && !isPhone();
  button.addEventListener("click", async () => {
    if (isPhone() || !hasViewfinder) return capture.click();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
      dialog.showModal();
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      onFailure(denied ? "cameraDenied" : "cameraMissing");
    }
  });
  shoot.addEventListener("click", async () => {
    if (!video.videoWidth) return;
    const photo = await shot(video);
    dialog.close();
    onPhoto(photo);
  });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => stop(video));
}
