// Where a photo comes from: a file, a drop, the clipboard, a sample scene.

const isPicture = (item) => item.kind === "file" && item.type.startsWith("image/");

/** Files chosen with a button. @param {(photo: File) => void} onPhoto */
export function fromInput(input, onPhoto) {
  input.addEventListener("change", () => {
    if (input.files[0]) onPhoto(input.files[0]);
    input.value = "";
  });
}

/**
 * Files dropped anywhere on the page.
 * @param {HTMLElement} marked gets the class "over" while a file is held over the page
 * @param {() => void} onOther called for what is no file
 */
export function fromDrop(marked, onPhoto, onOther) {
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      marked.classList.toggle("over", type === "dragover");
    });
  }
  document.addEventListener("drop", ({ dataTransfer }) => {
    if (dataTransfer.files[0]) onPhoto(dataTransfer.files[0]);
    else onOther();
  });
}

/** Pictures pasted from the clipboard. */
export function fromPaste(onPhoto) {
  document.addEventListener("paste", ({ clipboardData }) => {
    const picture = [...clipboardData.items].find(isPicture);
    if (picture) onPhoto(picture.getAsFile());
  });
}

/** Sample scenes, by buttons with the scene's name in `data-sample`. */
export function fromSamples(buttons, onPhoto, onFailure) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const name = `${button.dataset.sample}.jpg`;
      try {
        const response = await fetch(`static/samples/${name}`);
        if (!response.ok) throw new Error(name);
        onPhoto(new File([await response.blob()], name, { type: "image/jpeg" }));
      } catch {
        onFailure();
      }
    });
  }
}
