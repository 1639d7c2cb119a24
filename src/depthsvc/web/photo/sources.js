// Where a photo comes from: a file, a drop, the clipboard, a sample scene.

/** @typedef {(photo: File) => void} OnPhoto */

/** @param {DataTransferItem} item */
const isPicture = (item) => item.kind === "file" && item.type.startsWith("image/");

/**
 * Files chosen with a button.
 * @param {HTMLInputElement} input
 * @param {OnPhoto} onPhoto
 */
export function fromInput(input, onPhoto) {
  input.addEventListener("change", () => {
    const photo = input.files?.[0];
    if (photo) onPhoto(photo);
    input.value = "";
  });
}

/**
 * Files dropped anywhere on the page.
 * @param {HTMLElement} marked gets the class "over" while a file is held over the page
 * @param {OnPhoto} onPhoto
 * @param {() => void} onOther called for what isn't a file
 */
export function fromDrop(marked, onPhoto, onOther) {
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
    const photo = event.dataTransfer?.files[0];
    if (photo) onPhoto(photo);
    else onOther();
  });
}

/**
 * Pictures pasted from the clipboard.
 * @param {OnPhoto} onPhoto
 */
export function fromPaste(onPhoto) {
  document.addEventListener("paste", ({ clipboardData }) => {
    const picture = [...(clipboardData?.items ?? [])].find(isPicture)?.getAsFile();
    if (picture) onPhoto(picture);
  });
}

/**
 * Sample scenes.
 * @param {HTMLElement[]} buttons with the scene's name in `data-sample`
 * @param {OnPhoto} onPhoto
 * @param {() => void} onFailure
 */
export function fromSamples(buttons, onPhoto, onFailure) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const name = `${button.dataset.sample}.jpg`;
      try {
        const response = await fetch(new URL(`../samples/${name}`, import.meta.url));
        if (!response.ok) throw new Error(name);
        onPhoto(new File([await response.blob()], name, { type: "image/jpeg" }));
      } catch {
        onFailure();
      }
    });
  }
}
