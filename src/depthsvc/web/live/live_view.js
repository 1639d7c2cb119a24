// The live view: the camera on the left, its depth on the right.

/** @import { Answer } from "./answer.js" */
/** @import { Key, Values } from "../words/i18n.js" */
/** @import { Frame } from "./frames.js" */
/** @import { Terms } from "./session.js" */

import { element } from "../elements.js";
import { askForKey } from "../service/access.js";
import { Problem } from "../service/api.js";
import { countdown } from "../service/retry.js";
import { clearFailure, explain, fail, NO_PHOTO } from "../service/status.js";
import { speakOfKind } from "../views/kind_words.js";
import { hush, knows, say } from "../words/i18n.js";
import { DepthCanvas } from "./depth_canvas.js";
import { eachPicture, FramePool } from "./frames.js";
import { ObstacleBar } from "./obstacle_bar.js";
import { Pace } from "./pace.js";
import { LiveSaving } from "./saving.js";
import { Session } from "./session.js";
import { Webcam } from "./webcam.js";

const PASSING = ["liveLost", "unreachable", "draining", "unavailable"]; // a new connection may succeed
const PAUSES_S = [1, 2, 4]; // before each new connection in a row
const LASTING_MS = 10_000; // a session of that length shows that the connection is good

const video = element("live-video", HTMLVideoElement);
const canvas = element("live-depth", HTMLCanvasElement);
const facts = element("live-facts");
const note = element("live-note");
const colormap = element("live-colormap", HTMLSelectElement);
const switchButton = element("live-switch", HTMLButtonElement);
const startButton = element("live-start", HTMLButtonElement);

/**
 * With a code for the words about a picture of the camera, where those about a photo would be wrong.
 * @param {Problem} problem
 */
function ofFrame(problem) {
  const code = `live_${problem.code}`;
  return knows(`error_${code}`, {}) ? { ...problem, code } : problem;
}

/** Conducts camera, session and drawing. It is off until `start`, and again whenever the page is hidden. */
export class LiveView {
  #webcam = new Webcam(video, () => this.#fail(new Problem({ status: 0, code: "cameraEnded" })));
  #frames = new FramePool();
  #pace = new Pace();
  #asked;
  #depth;
  #saving;
  #obstacles = new ObstacleBar(element("live-obstacles"));
  #running = new AbortController();
  #lost = 0; // connections in a row
  #began = Infinity; // when the session was ready, by performance.now()
  /** @type {Session | null} */
  #session = null;
  /** @type {Terms | null} */
  #terms = null;
  /** @type {string | null} */
  #model = null;
  /** @type {Frame | null} */
  #shown = null;

  /**
   * @param {Record<string, Uint8Array<ArrayBuffer>>} colormaps
   * @param {() => Promise<string | null>} asked the model to ask for; null for the service's default
   */
  constructor(colormaps, asked) {
    this.#asked = asked;
    const elsewhere = element("colormap", HTMLSelectElement);
    colormap.replaceChildren(...[...elsewhere.options].map((option) => option.cloneNode(true)));
    colormap.value = elsewhere.value;
    const invert = element("live-invert", HTMLInputElement);
    const legend = element("live-legend", HTMLCanvasElement);
    this.#depth = new DepthCanvas(canvas, { colormap, invert, legend }, colormaps);
    this.#saving = new LiveSaving(this.#depth);
    startButton.addEventListener("click", () => this.start());
    switchButton.addEventListener("click", () => this.#switch());
    video.addEventListener("resize", () => {
      if (video.videoWidth) element("live").style.setProperty("--ratio", String(video.videoWidth / video.videoHeight));
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop();
    });
    addEventListener("pagehide", () => this.stop());
  }

  /** Ask for the camera and begin a session, instead of one that may be there. */
  async start() {
    this.stop();
    const { signal } = (this.#running = new AbortController());
    clearFailure();
    this.#wait("liveCamera");
    try {
      if (!(await this.#webcam.open())) return;
      const cameras = await this.#webcam.all();
      this.#model = await this.#asked();
      if (signal.aborted) return;
      switchButton.hidden = cameras.length < 2;
      this.#lost = 0;
      this.#connect();
      eachPicture(video, signal, (captured) => this.#send(captured));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** Turn off the camera and hang up. */
  stop() {
    this.#running.abort();
    this.#session?.close();
    this.#session = null;
    this.#webcam.stop();
    this.#saving.stop();
    this.#obstacles.show([], () => "");
    hush(facts);
    hush(note);
    this.#wait("liveOff", {}, true);
  }

  /** @param {Problem} problem */
  #fail(problem) {
    this.stop();
    fail(problem);
  }

  async #switch() {
    await this.#webcam.turnToNext();
    await this.#webcam.open().catch((problem) => this.#fail(problem));
  }

  #connect() {
    this.#wait("liveConnecting");
    this.#session = new Session(this.#model, {
      onReady: (terms) => this.#begin(terms),
      onAnswer: (answer, frame) => this.#show(answer, frame),
      onUnanswered: (frame) => this.#frames.free(frame),
      onFailure: (problem) => explain(note, ofFrame(problem), NO_PHOTO),
      onEnd: (problem) => this.#end(problem),
    });
  }

  /** @param {Terms} terms */
  #begin(terms) {
    this.#terms = terms;
    this.#began = performance.now();
    askForKey(false);
    speakOfKind(terms.kind);
    this.#pace.restart();
    this.#wait("liveFirst");
  }

  /** @param {Problem} problem */
  async #end(problem) {
    if (performance.now() - this.#began > LASTING_MS) this.#lost = 0;
    this.#began = Infinity;
    const pause = PASSING.includes(problem.code) ? PAUSES_S[this.#lost] : undefined;
    if (pause === undefined) return this.#fail(problem);
    this.#lost++;
    const { signal } = this.#running;
    try {
      await countdown(pause, signal, (seconds) => this.#wait("liveRetry", { seconds }));
    } catch {
      return; // stopped in the meantime
    }
    this.#connect();
  }

  /** @param {number} captured */
  #send(captured) {
    const session = this.#session;
    if (!session) return;
    session.endIfSilent(performance.now());
    if (session.room) session.send(this.#frames.take(video, captured, session.room));
  }

  /**
   * @param {Answer} answer
   * @param {Frame} frame
   */
  #show({ map, range, obstacles }, frame) {
    if (this.#shown) this.#frames.free(this.#shown);
    this.#shown = frame;
    element("live-pause").hidden = true;
    hush(note);
    this.#depth.show(map, range);
    this.#obstacles.show(obstacles, (nearness) => this.#depth.colourOf(nearness));
    this.#saving.take(frame.canvas, canvas);
    const measured = this.#pace.count(frame.captured);
    if (!measured) return;
    this.#obstacles.tell(obstacles);
    const [rate, age] = [measured.rate.toFixed(measured.rate < 9.95 ? 1 : 0), measured.age.toFixed(0)];
    say(facts, "liveFacts", { model: this.#terms?.model ?? "", rate, age });
  }

  /**
   * Say what there is instead of depth.
   * @param {Key} key
   * @param {Values} values
   * @param {boolean} canStart whether a person has to start it
   */
  #wait(key, values = {}, canStart = false) {
    say(element("live-state"), key, values);
    startButton.hidden = !canStart;
    element("live-pause").hidden = false;
  }
}
