// The controls of the heatmap's colours and limits.

/** @import { Look } from "./heatmap_drawing.js" */
/** @import { Span } from "./contrast.js" */
/** @import { Settings } from "./link.js" */

import { showPercent } from "./slider.js";

/**
 * @typedef {{colormap: HTMLSelectElement, invert: HTMLInputElement, far: HTMLInputElement, near: HTMLInputElement,
 *     whole: HTMLButtonElement, auto: HTMLButtonElement}} Elements
 */

/** The controls of the page, read as one look. */
export class LookControls {
  #elements;
  #onChange;

  /**
   * @param {Elements} elements
   * @param {() => void} onChange
   * @param {() => Span} fitting the limits that suit what is seen
   */
  constructor(elements, onChange, fitting) {
    this.#elements = elements;
    this.#onChange = onChange;
    const { colormap, invert, far, near, whole, auto } = elements;
    far.addEventListener("input", () => (near.valueAsNumber = Math.max(near.valueAsNumber, far.valueAsNumber + 1)));
    near.addEventListener("input", () => (far.valueAsNumber = Math.min(far.valueAsNumber, near.valueAsNumber - 1)));
    whole.addEventListener("click", () => ([far.value, near.value] = ["0", "100"]));
    auto.addEventListener("click", () => ([far.value, near.value] = fitting().map(String)));
    for (const control of [colormap, invert, far, near]) control.addEventListener("input", () => this.#changed());
    for (const button of [whole, auto]) button.addEventListener("click", () => this.#changed());
    this.#showLimits();
  }

  #changed() {
    this.#showLimits();
    this.#onChange();
  }

  #showLimits() {
    const { far, near, whole } = this.#elements;
    showPercent(far);
    showPercent(near);
    whole.disabled = far.value === "0" && near.value === "100";
  }

  get colormap() {
    return this.#elements.colormap.value;
  }

  /**
   * Choose a look.
   * @param {Settings} settings
   */
  set({ colormap, invert, far, near }) {
    const elements = this.#elements;
    if ([...elements.colormap.options].some(({ value }) => value === colormap)) elements.colormap.value = colormap;
    elements.invert.checked = invert;
    [elements.far.value, elements.near.value] = [String(far), String(near)];
    this.#changed();
  }

  /** @returns {Omit<Settings, "view">} */
  get settings() {
    const { colormap, invert, far, near } = this.#elements;
    return { colormap: colormap.value, invert: invert.checked, far: far.valueAsNumber, near: near.valueAsNumber };
  }

  /** @returns {Look} */
  get look() {
    const { invert, far, near } = this.#elements;
    return { far: far.valueAsNumber / 100, near: near.valueAsNumber / 100, invert: invert.checked };
  }
}
