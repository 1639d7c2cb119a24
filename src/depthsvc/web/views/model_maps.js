// The open photo's depth by each model of the service, one beside the other in the chosen colours.

/** @import { Picture } from "../photo/picture.js" */
/** @import { DepthMap } from "../depth/resize.js" */
/** @import { Depth, Model } from "../service/api.js" */
/** @import { Look } from "./heatmap_drawing.js" */

import { inOneScale } from "../depth/one_scale.js";
import { fitting, upsample } from "../depth/resize.js";
import { depth, Problem } from "../service/api.js";
import { patiently } from "../service/retry.js";
import { explain } from "../service/status.js";
import { say } from "../words/i18n.js";
import { paint, steps } from "./heatmap_drawing.js";

/** @typedef {{item: HTMLElement, model: string, canvas: HTMLCanvasElement, state: HTMLElement}} Place */
/** @typedef {Place & {map: DepthMap | null, steps: Uint16Array | null}} Tile a place with what it shows, once that is
 *     known */

const LONGEST = 800; // pixels of a map

/** Shown while its `details` are open; nothing is sent before that. */
export class ModelMaps {
  #details;
  #list;
  #colours;
  /** @type {Model[]} */
  #models = [];
  /** @type {Picture | null} */
  #picture = null;
  /** Of the photo `#picture`. @type {Tile[]} */
  #tiles = [];
  #cancelling = new AbortController();

  /**
   * @param {{details: HTMLDetailsElement, list: HTMLElement}} elements
   * @param {() => {table: Uint8Array, look: Look}} colours of the heatmap
   */
  constructor({ details, list }, colours) {
    this.#details = details;
    this.#list = list;
    this.#colours = colours;
    details.addEventListener("toggle", () => this.#follow());
  }

  /**
   * Offer a comparison, if there is something to compare.
   * @param {Model[]} models that the service serves, its default first
   */
  offer(models) {
    this.#models = models;
    this.#details.hidden = models.length < 2;
    this.#forget();
    this.#follow();
  }

  /** @param {Picture | null} picture that is open now */
  show(picture) {
    const before = this.#picture;
    this.#picture = picture;
    if (before?.photo === picture?.photo && before?.depth.asked.refine === picture?.depth.asked.refine) return;
    this.#forget();
    this.#follow();
  }

  /** Colour the maps again. */
  paint() {
    const { table, look } = this.#colours();
    for (const { canvas, steps } of this.#tiles) if (steps) paint(canvas, steps, table, look);
  }

  #forget() {
    this.#cancelling.abort();
    this.#tiles = [];
    this.#list.replaceChildren();
  }

  /** Ask each model that has not been asked, as long as somebody is looking. */
  #follow() {
    if (!this.#details.open) this.#cancelling.abort();
    else if (this.#picture && !this.#details.hidden) this.#compare(this.#picture);
  }

  /** @param {Picture} picture */
  async #compare(picture) {
    this.#cancelling.abort();
    const { signal } = (this.#cancelling = new AbortController());
    if (!this.#tiles.length) {
      this.#tiles = this.#models.map(({ name }, number) => tileOf(picture, name, `model-map-${number}`));
      this.#list.replaceChildren(...this.#tiles.map(({ item }) => item));
    }
    const missing = this.#tiles.filter(({ map }) => !map);
    for (const { state } of missing) say(state, "stateWaiting");
    for (const tile of missing) {
      await this.#estimate(picture, tile, signal);
      if (signal.aborted) return;
    }
  }

  /**
   * @param {Picture} picture
   * @param {Tile} tile
   * @param {AbortSignal} signal
   */
  async #estimate(picture, tile, signal) {
    const { model, canvas, state } = tile;
    say(state, "stateBusy");
    try {
      const map = isOf(picture.depth, model) ? picture.depth : await this.#asked(picture, model, signal);
      if (signal.aborted) return;
      tile.map = upsample(map, canvas.width, canvas.height);
      say(state, "mapTime", { milliseconds: worked(map) });
      this.#scale();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) console.error(error);
      explain(state, error instanceof Problem ? error : { code: "other" }, picture.photo);
    }
  }

  /** Bring the maps that are known into one scale, whenever there is another one. */
  #scale() {
    const known = this.#tiles.flatMap((tile) => (tile.map ? [{ tile, map: tile.map }] : []));
    inOneScale(known.map(({ map }) => map)).forEach((nearness, at) => (known[at].tile.steps = steps(nearness)));
    this.paint();
  }

  /**
   * @param {Picture} picture
   * @param {string} name of the model
   * @param {AbortSignal} signal
   */
  #asked({ photo, depth: { asked } }, name, signal) {
    const model = name === this.#models[0].name ? null : name;
    const options = { signal, onProgress: () => {} };
    return patiently(() => depth(photo, { model, inputSize: null, refine: asked.refine }, options), signal, () => {});
  }
}

/**
 * Whether a map is what a model makes of the photo at its own input size.
 * @param {Depth} map
 * @param {string} name of the model
 */
const isOf = ({ model, asked }, name) => model === name && asked.inputSize === null;

/**
 * Milliseconds that the service worked on a photo.
 * @param {Depth} map
 */
function worked({ timing: { queue = 0, ...stages } }) {
  return Math.round(Object.values(stages).reduce((sum, spent) => sum + spent, 0));
}

/**
 * @param {Picture} picture
 * @param {string} model
 * @param {string} id
 * @returns {Tile}
 */
function tileOf({ width, height }, model, id) {
  const item = document.createElement("li");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("p");
  const name = document.createElement("b");
  const state = document.createElement("span");
  [canvas.width, canvas.height] = fitting(width, height, LONGEST);
  canvas.id = id;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-labelledby", (caption.id = `${id}-name`));
  name.textContent = model;
  caption.append(name, " ", state);
  item.append(canvas, caption);
  return { item, model, canvas, state, map: null, steps: null };
}
