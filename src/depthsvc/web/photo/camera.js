// A photo from the device's camera.

const isPhone = () => matchMedia("(pointer: coarse)").matches;

function stop(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

async function shot(video) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return new File([blob], "camera.jpg", { type: "image/jpeg" });
}

/**
 * Offer the camera: a phone's own camera program, or a viewfinder in a dialog. Where there is neither, the button stays
 * hidden: browsers lend the camera only to pages of this machine or over HTTPS.
 * @param {{button, capture, dialog, video, shoot, close}} elements
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
      onFailure(error.name === "NotAllowedError" ? "cameraDenied" : "cameraMissing");
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
