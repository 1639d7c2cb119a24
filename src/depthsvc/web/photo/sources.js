// Where a photo comes from: a file, a drop, the clipboard, a sample scene.

/** @typedef {(photos: File[]) => void} OnPhotos one or more */

/** @param {DataTransferItem} item */
const isPicture = (item) => item.kind === "file" && item.type.startsWith("image/");

/**
 * Files chosen with a button.
 * @param {HTMLInputElement} input
 * @param {OnPhotos} onPhotos
 */
export function fromInput(input, onPhotos) {
  input.addEventListener("change", () => {
    const photos = [...(input.files ?? [])];
    if (photos.length) onPhotos(photos);
    input.value = "";
  });
}

/**
 * Files dropped anywhere on the page.
 * @param {HTMLElement} marked gets the class "over" while a file is held over the page
 * @param {OnPhotos} onPhotos
 * @param {() => void} onOther called for what isn't a file
 */
export function fromDrop(marked, onPhotos, onOther) {
  /** @param {DragEvent} event */
  const mark = (event) => {
    event.preventDefault();
    const isOver = event.type === "dragover" && Boolean(event.dataTransfer?.types.includes("Files"));
    marked.classList.toggle("over", isOver);
  };
  document.addEventListener("dragover", mark);
  document.addEventListener("dragleave", mark);
  document.addEventListener("drop", (event) => {
    mark(event);
    const photos = [...(event.dataTransfer?.files ?? [])];
    if (photos.length) onPhotos(photos);
    else onOther();
  });
}

/**
 * Pictures pasted from the clipboard.
 * @param {OnPhotos} onPhotos
 */
export function fromPaste(onPhotos) {
  document.addEventListener("paste", ({ clipboardData }) => {
    const pictures = [...(clipboardData?.items ?? [])].filter(isPicture).flatMap((item) => item.getAsFile() ?? []);
    if (pictures.length) onPhotos(pictures);
  });
}

/**
 * Sample scenes.
 * @param {HTMLElement[]} buttons with the scene's name in `data-sample`
 * @param {OnPhotos} onPhotos
 * @param {() => void} onFailure
 */
export function fromSamples(buttons, onPhotos, onFailure) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const name = `${button.dataset.sample}.jpg`;
      try {
        const response = await fetch(new URL(`../samples/${name}`, import.meta.url));
        if (!response.ok) throw new Error(name);
        onPhotos([new File([await response.blob()], name, { type: "image/jpeg" })]);
      } catch {
        onFailure();
      }
    });
  }
}
