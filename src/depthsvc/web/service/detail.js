// How much detail the network sees: the model's own input size, or a larger one.

/** @import { Model } from "./api.js" */

import { maxInputSize } from "../photo/formats.js";
import { say } from "../words/i18n.js";

/** @typedef {{field: HTMLElement, select: HTMLSelectElement}} Elements */

const FACTORS = [1, 1.5, 2];
const FIXED = "stretch"; // the rule of models that accept one size only

/** The choice of an input size, which is offered if the model allows it. */
export class DetailChoice {
  #elements;
  /** @type {Model | null} */
  #model = null;

  /**
   * @param {Elements} elements
   * @param {() => void} onChange called when a person chooses another size
   */
  constructor(elements, onChange) {
    this.#elements = elements;
    elements.select.addEventListener("change", onChange);
  }

  /**
   * Offer the sizes of a model.
   * @param {Model | null} model null if it isn't known
   */
  offer(model) {
    const { field, select } = this.#elements;
    if (model === this.#model) return;
    this.#model = model;
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
