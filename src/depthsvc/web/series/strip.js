// The photos of a series in the page: a heatmap of each, or how far it is.

/** @import { Look } from "../views/heatmap_drawing.js" */
/** @import { Entry, State } from "./entry.js" */

import { newCanvas } from "../canvas.js";
import { normalized } from "../depth/nearness.js";
import { fitting, upsample } from "../depth/resize.js";
import { element } from "../elements.js";
import { icon } from "../icons.js";
import { explain } from "../service/status.js";
import { paint, steps } from "../views/heatmap_drawing.js";
import { say } from "../words/i18n.js";
import { MOST_PHOTOS } from "./entry.js";

/** @typedef {{button: HTMLButtonElement, image: HTMLImageElement, words: HTMLElement, shown: State | null}} Tile */
/** @typedef {{table: Uint8Array, look: Look}} Colours */

const LONGEST = 192; // pixels of a thumbnail
const REST_MS = 300; // after a change of the colours

const section = element("series");
const list = element("series-list");
/** @type {Record<State, import("../words/i18n.js").Key>} */
const WORDS = { waiting: "stateWaiting", busy: "stateBusy", done: "stateDone", failed: "stateFailed" };

/** Shows two photos or more; for one there is no need. */
export class Strip {
  #colours;
  #onChoice;
  /** @type {Map<Entry, Tile>} */
  #tiles = new Map();
  #resting = 0;

  /**
   * @param {() => Colours} colours of the heatmap
   * @param {(entry: Entry) => void} onChoice
   */
  constructor(colours, onChoice) {
    this.#colours = colours;
    this.#onChoice = onChoice;
  }

  /**
   * @param {Entry[]} entries
   * @param {Entry | null} open the one that is shown in full
   * @param {number} offered how many photos there were, of which only the first are accepted
   */
  show(entries, open, offered) {
    section.hidden = entries.length < 2;
    if (section.hidden) return this.#replace([]);
    if (entries.length !== this.#tiles.size || !entries.every((entry) => this.#tiles.has(entry))) this.#replace(entries);
    for (const [entry, tile] of this.#tiles) {
      tile.button.setAttribute("aria-current", String(entry === open));
      if (tile.shown !== entry.state) this.#update(entry, tile);
    }
    const done = entries.filter(({ state }) => state === "done").length;
    say(element("series-count"), "seriesCount", { done, count: entries.length });
    element("series-most").hidden = offered <= MOST_PHOTOS;
    say(element("series-most"), "seriesMost", { most: MOST_PHOTOS, count: offered });
    element("series-zip", HTMLButtonElement).disabled = !done;
  }

  /** Colour the heatmaps again, once the colours have stopped changing. */
  repaint() {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(async () => {
      for (const [entry, tile] of this.#tiles) await this.#draw(entry, tile);
    }, REST_MS);
  }

  /** @param {Entry[]} entries */
  #replace(entries) {
    const before = this.#tiles;
    this.#tiles = new Map(
      entries.map((entry) => [entry, before.get(entry) ?? tileOf(entry, () => this.#onChoice(entry))]),
    );
    for (const [entry, { image }] of before) if (!this.#tiles.has(entry)) URL.revokeObjectURL(image.src);
    list.replaceChildren(...[...this.#tiles.values()].map(({ button }) => inItem(button)));
  }

  /**
   * @param {Entry} entry
   * @param {Tile} tile
   */
  #update(entry, tile) {
    const { button, words } = tile;
    tile.shown = button.dataset.state = entry.state;
    button.disabled = entry.state !== "done" && entry.state !== "failed";
    if (entry.problem) explain(words, entry.problem, entry.photo);
    else say(words, WORDS[entry.state]);
    this.#draw(entry, tile);
  }

  /**
   * @param {Entry} entry
   * @param {Tile} tile
   */
  async #draw({ kept }, { image }) {
    const depth = await kept?.depth().catch(() => null); // browsers lose files that they have stored
    if (!kept || !depth) return;
    const { table, look } = this.#colours();
    const [width, height] = fitting(kept.size.width, kept.size.height, LONGEST);
    const nearness = normalized(upsample(depth, width, height));
    const canvas = newCanvas(width, height);
    paint(canvas, steps(nearness.values), table, look);
    /** @type {Blob | null} */
    const blob = await new Promise((resolve) => canvas.toBlob(resolve));
    if (!blob || !image.isConnected) return;
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
    image.hidden = false;
  }
}

/** @param {HTMLElement} element */
function inItem(element) {
  const item = document.createElement("li");
  item.append(element);
  return item;
}

/**
 * @param {Entry} entry
 * @param {() => void} onChoice
 * @returns {Tile}
 */
function tileOf(entry, onChoice) {
  const button = document.createElement("button");
  const well = document.createElement("span");
  const image = document.createElement("img");
  const name = document.createElement("b");
  const words = document.createElement("span");
  button.type = "button";
  button.title = name.textContent = entry.name;
  well.className = "well";
  image.alt = "";
  image.hidden = true;
  well.append(icon("clock"), icon("alert"), image);
  words.className = "state";
  button.append(well, name, words);
  button.addEventListener("click", onChoice);
  return { button, image, words, shown: null };
}
