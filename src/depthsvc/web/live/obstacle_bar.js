// The bar of obstacles: how near the nearest thing is in each column of the picture, and when it would be reached.

/** @import { Obstacle } from "./answer.js" */

import { find } from "../elements.js";
import { distance } from "../words/distance.js";
import { hush, say } from "../words/i18n.js";

const SOON_S = 3;

/** @typedef {{column: HTMLElement, bar: HTMLElement, nearness: HTMLElement, contact: HTMLElement}} Column */

/** A part of the page with a list that has an item for each column, from left to right. */
export class ObstacleBar {
  #part;
  #list;
  /** @type {Column[]} */
  #columns = [];

  /** @param {HTMLElement} part */
  constructor(part) {
    this.#part = part;
    this.#list = find("ol", HTMLElement, part);
  }

  /**
   * Draw how near they are; no bar without obstacles.
   * @param {Obstacle[]} obstacles
   * @param {(nearness: number) => string} colourOf the CSS colour of a nearness 0..1
   */
  show(obstacles, colourOf) {
    this.#part.hidden = !obstacles.length;
    if (this.#columns.length !== obstacles.length) {
      this.#columns = obstacles.map(newColumn);
      this.#list.replaceChildren(...this.#columns.map(({ column }) => column));
    }
    obstacles.forEach(({ left, right, nearness, contact_s }, at) => {
      const { column, bar } = this.#columns[at];
      column.style.flexGrow = String(right - left);
      column.classList.toggle("soon", contact_s !== null && contact_s < SOON_S);
      bar.style.height = `${100 * nearness}%`;
      bar.style.background = colourOf(nearness);
    });
  }

  /**
   * Say it, which is worth it only as often as a person can read.
   * @param {Obstacle[]} obstacles those that are shown
   */
  tell(obstacles) {
    obstacles.forEach(({ nearness, metres, contact_s }, at) => {
      const column = this.#columns[at];
      if (metres === null) say(column.nearness, "liveNearness", { percent: Math.round(100 * nearness) });
      else say(column.nearness, "liveMetres", { metres: distance(metres) });
      if (contact_s === null) hush(column.contact);
      else say(column.contact, "liveContact", { seconds: contact_s.toFixed(1) });
    });
  }
}

/** @returns {Column} */
function newColumn() {
  const column = document.createElement("li");
  const well = document.createElement("div");
  const bar = document.createElement("div");
  const nearness = document.createElement("b");
  const contact = document.createElement("span");
  well.className = "well";
  well.append(bar);
  column.append(well, nearness, contact);
  return { column, bar, nearness, contact };
}
