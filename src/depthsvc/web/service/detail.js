// How much detail a map gets: the input size of the network, and whether its edges are aligned with the photo's.

/** @import { Model } from "./api.js" */

import { maxInputSize } from "../photo/formats.js";
import { say } from "../words/i18n.js";

/**
 * @typedef {{field: HTMLElement, select: HTMLSelectElement, edgesField: HTMLElement, edges: HTMLInputElement}} Elements
 */

const FACTORS = [1, 1.5, 2];
const FIXED = "stretch"; // the rule of models that accept one size only

/** The choice of an input size, which is offered if the model allows it, and of sharp edges. */
export class DetailChoice {
  #elements;
  /** @type {Model | null} */
  #model = null;

  /**
   * @param {Elements} elements
   * @param {() => void} onChange called when a person chooses otherwise
   */
  constructor(elements, onChange) {
    this.#elements = elements;
    elements.select.addEventListener("change", onChange);
    elements.edges.addEventListener("change", onChange);
  }

  /**
   * Offer the sizes of a model, with edges as it is meant to be used.
   * @param {Model | null} model null if it isn't known
   */
  offer(model) {
    const { field, select, edgesField, edges } = this.#elements;
    if (model === this.#model) return;
    this.#model = model;
    edgesField.hidden = !model;
    edges.checked = model?.refines ?? false;
    const chosen = select.value;
    const possible = FACTORS.filter((factor) => this.#sizeAt(factor) <= maxInputSize());
    field.hidden = !model?.input || model.input.rule === FIXED || possible.length < 2;
    select.replaceChildren(...(field.hidden ? [] : possible.map((factor) => this.#option(factor))));
    if (possible.map(String).includes(chosen)) select.value = chosen;
  }

  /** The size to ask for; null for the model's own. */
  get inputSize() {
    const factor = Number(this.#elements.select.value) || 1;
    return factor === 1 ? null : this.#sizeAt(factor);
  }

  /** Whether to align the edges with the photo's. */
  get refine() {
    return this.#elements.edges.checked;
  }

  /** @param {number} factor */
  #sizeAt(factor) {
    const { size, multiple } = this.#model?.input ?? { size: 0, multiple: 1 };
    return Math.round((factor * size) / multiple) * multiple;
  }

  /** @param {number} factor */
  #option(factor) {
    const option = document.createElement("option");
    option.value = String(factor);
    say(option, factor === 1 ? "detailOwn" : "detailMore", { factor, size: this.#sizeAt(factor) });
    return option;
  }
}
