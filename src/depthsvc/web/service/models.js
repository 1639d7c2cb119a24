// The models that the service offers, and the one that a person has chosen.

/** @import { Model } from "./api.js" */

import { METRES } from "../depth/kind.js";
import { recall, remember } from "../storage.js";
import { say } from "../words/i18n.js";
import { servedModels } from "./api.js";

/** @typedef {{field: HTMLElement, select: HTMLSelectElement}} Elements */

const KEY = "model"; // in the browser's storage

/** The choice among the service's models, which is offered if there is more than one. */
export class ModelChoice {
  #elements;
  #onChange;
  /** @type {Model[]} */
  #served = [];
  #loading = Promise.resolve();

  /**
   * @param {Elements} elements
   * @param {() => void} onChange called when a person chooses another model
   */
  constructor(elements, onChange) {
    this.#elements = elements;
    this.#onChange = onChange;
    elements.select.addEventListener("change", () => {
      remember("localStorage", KEY, elements.select.value);
      this.#onChange();
    });
  }

  /** Ask the service for its models. If that fails, photos are sent to its default. */
  load() {
    this.#loading = servedModels().then((served) => this.#offer(served), () => {});
    return this.#loading;
  }

  /** All of them, the default first. */
  get served() {
    return this.#served;
  }

  /** The chosen model, or the default; null if the service does not say. */
  get model() {
    return this.#served.find(({ name }) => name === this.#elements.select.value) ?? null;
  }

  /**
   * The name to ask for, once the service has said which there are; null for its default.
   * @returns {Promise<string | null>}
   */
  async asked() {
    await this.#loading;
    return !this.model || this.model === this.#served[0] ? null : this.model.name;
  }

  /** @param {Model[]} served */
  #offer(served) {
    const { field, select } = this.#elements;
    this.#served = served;
    select.replaceChildren(...served.map(optionOf));
    const remembered = recall("localStorage", KEY);
    if (served.some(({ name }) => name === remembered)) select.value = remembered ?? "";
    field.hidden = served.length < 2;
  }
}

/** @param {Model} model */
function optionOf({ name, kind }) {
  const option = document.createElement("option");
  option.value = name;
  say(option, kind === METRES ? "modelOptionMetres" : "modelOption", { model: name });
  return option;
}
