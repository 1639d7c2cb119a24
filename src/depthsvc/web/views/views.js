// The ways to see a picture, of which one tab is open at a time.

/** @import { Picture } from "../photo/picture.js" */
/** @import { Settings } from "./link.js" */

import { element, find } from "../elements.js";
import { say } from "../words/i18n.js";
import { HeatmapView } from "./heatmap_view.js";
import { LookControls } from "./look_controls.js";
import { RefocusView } from "./refocus_view.js";
import { SpaceView } from "./space_view.js";
import { tabs } from "./tabs.js";
import { Zoom } from "./zoom.js";

const result = element("result");

/** @param {string} id */
const canvasIn = (id) => ({ canvas: element(id, HTMLCanvasElement), frame: element(`${id}-frame`) });

/**
 * @param {string} id
 * @param {string} selector
 */
const inFrame = (id, selector) => find(selector, HTMLElement, element(`${id}-frame`));

/** @param {string} id */
const button = (id) => element(id, HTMLButtonElement);

/** @param {string} id */
const input = (id) => element(id, HTMLInputElement);

/** All views of the current picture. */
export class Views {
  /** @type {Picture | null} */
  picture = null;
  #onChange;
  #controls;
  #openTab;
  #zoom;

  /**
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   * @param {(view: string) => void} onChange called for every picture that is shown and every tab that is opened
   */
  constructor(colormaps, onChange) {
    this.#onChange = onChange;
    this.#controls = new LookControls(
      {
        colormap: element("colormap", HTMLSelectElement),
        invert: input("invert"),
        far: input("far"),
        near: input("near"),
        whole: button("whole"),
        auto: button("auto"),
      },
      () => this.heatmap.paint(),
      () => this.heatmap.fittingLimits,
    );
    const photoFrame = element("photo-frame");
    const cut = input("cut");
    this.#zoom = new Zoom(
      {
        frames: [photoFrame, element("heatmap-frame")],
        cut,
        closer: button("zoom-in"),
        farther: button("zoom-out"),
        whole: button("zoom-whole"),
        percent: element("zoom-percent"),
      },
      () => this.heatmap.move(),
      () => this.heatmap.sharpen(),
    );
    this.heatmap = new HeatmapView(
      {
        ...canvasIn("heatmap"),
        detail: element("heatmap-detail", HTMLCanvasElement),
        photo: element("photo"),
        legend: element("legend", HTMLCanvasElement),
        farEnd: element("far-end"),
        nearEnd: element("near-end"),
        scaleNote: element("scale-note"),
        photoFrame,
        readout: element("readout"),
        marks: [inFrame("heatmap", ".cursor"), inFrame("photo", ".cursor")],
      },
      this.#controls,
      colormaps,
      this.#zoom,
    );
    this.space = new SpaceView({
      ...canvasIn("space"),
      missing: inFrame("space", ".missing"),
      closer: button("closer"),
      farther: button("farther"),
      reset: button("reset"),
      sway: button("sway"),
      fov: input("fov"),
    });
    this.refocus = new RefocusView({
      ...canvasIn("refocus"),
      focus: inFrame("refocus", ".focus"),
      missing: inFrame("refocus", ".missing"),
      strength: input("strength"),
    });
    this.#openTab = tabs(element("views"), (view, tab) => this.#choose(view, tab));
    new ResizeObserver(() => requestAnimationFrame(() => this.#fit())).observe(result);
    cut.addEventListener("input", () => result.style.setProperty("--cut", `${cut.value}%`));
  }

  /** @param {Picture} picture */
  show(picture) {
    this.picture?.release();
    this.picture = picture;
    const { image, width, height, name } = picture;
    element("photo", HTMLImageElement).src = image.src;
    result.style.setProperty("--ratio", String(width / height));
    result.hidden = false;
    document.body.dataset.state = "result";
    const { model, timing } = picture.depth;
    const milliseconds = Math.round(Object.values(timing).reduce((sum, spent) => sum + spent, 0));
    say(element("facts"), "facts", { name, width, height, model, milliseconds });
    this.space.take(picture);
    this.refocus.take(picture);
    this.heatmap.show(picture);
    this.#fit();
    this.#onChange(this.#open);
  }

  /** Show no picture. */
  clear() {
    this.picture?.release();
    this.picture = null;
    result.hidden = true;
  }

  /**
   * What is chosen now.
   * @returns {Settings}
   */
  get settings() {
    return { view: this.#open, ...this.#controls.settings };
  }

  /** @param {Settings} settings what to choose */
  choose(settings) {
    this.#controls.set(settings);
    this.#openTab(settings.view);
  }

  /** The view whose tab is open, as in the tab's `data-view`. */
  get #open() {
    return result.dataset.view ?? "";
  }

  /**
   * @param {string} view
   * @param {HTMLElement} tab
   */
  #choose(view, tab) {
    result.dataset.view = view;
    element("panel").setAttribute("aria-labelledby", tab.id);
    this.#fit();
    this.#onChange(view);
  }

  /** Fit the open view to the room it has. */
  #fit() {
    if (this.#open === "space") this.space.fit();
    else if (this.#open === "refocus") this.refocus.fit();
    else this.heatmap.fit(); // beside the photo, or under it to compare
    this.#zoom.fit();
  }
}
