// The way into the live view and out of it. The view itself is loaded for those who open it.

/** @import { LiveView } from "./live_view.js" */

import { element } from "../elements.js";
import { askForKey } from "../service/access.js";
import { clearFailure, fail } from "../service/status.js";

const section = element("live");
const openButton = element("live-open", HTMLButtonElement);

/** Shows the live view in the place of a photo's result, and takes it away again. */
export class LiveEntrance {
  #colormaps;
  #asked;
  #onLeave;
  /** @type {Promise<LiveView> | null} */
  #view = null;

  /**
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   * @param {() => Promise<string | null>} asked the model to ask for; null for the service's default
   * @param {{onOpen: () => void, onLeave: () => void}} callbacks
   */
  constructor(colormaps, asked, { onOpen, onLeave }) {
    this.#colormaps = colormaps;
    this.#asked = asked;
    this.#onLeave = onLeave;
    openButton.addEventListener("click", () => {
      onOpen();
      this.#open();
    });
    element("live-close").addEventListener("click", () => {
      this.leave();
      openButton.focus();
    });
  }

  /**
   * Let people open the view, or not.
   * @param {boolean} isOffered whether the service has it
   */
  offer(isOffered) {
    openButton.hidden = !isOffered;
  }

  get isOpen() {
    return !section.hidden;
  }

  /** Start again with what has changed, such as an API key or the model. */
  async start() {
    const view = await this.#loaded();
    if (this.isOpen) view?.start();
  }

  /** Close the view: camera and connection are off then. */
  async leave() {
    if (!this.isOpen) return;
    section.hidden = true;
    clearFailure();
    askForKey(false);
    this.#onLeave();
    (await this.#view)?.stop();
  }

  #open() {
    section.hidden = false;
    element("result").hidden = true;
    document.body.dataset.state = "live";
    section.scrollIntoView({ block: "nearest" });
    this.start();
  }

  async #loaded() {
    this.#view ??= import("./live_view.js").then(({ LiveView }) => new LiveView(this.#colormaps, this.#asked));
    try {
      return await this.#view;
    } catch {
      this.#view = null;
      fail({ code: "unreachable" });
      return null;
    }
  }
}
