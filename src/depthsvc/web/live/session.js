// A live session: frames go to the service through a WebSocket, their depth comes back.

/** @import { Kind } from "../depth/kind.js" */
/** @import { Answer } from "./answer.js" */
/** @import { Frame } from "./frames.js" */

import { apiKey, authorization, Problem } from "../service/api.js";
import { answerOf } from "./answer.js";
import { jpegOf } from "./frames.js";

/** @typedef {{model: string, kind: Kind, max_pixels: number}} Terms what the service says first */

/**
 * @typedef {{onReady: (terms: Terms) => void, onAnswer: (answer: Answer, frame: Frame) => void,
 *     onUnanswered: (frame: Frame) => void, onFailure: (problem: Problem) => void,
 *     onEnd: (problem: Problem) => void}} Callbacks
 *     onAnswer and onUnanswered hand each frame back; onFailure says why one of them has no depth
 */

const PROTOCOL = "depthsvc.live";
const WISHES = { format: "raw", smooth: 1, every: 1, obstacles: true };
const MOST_UNDER_WAY = 2; // more would only wait for each other, and be old when they come back
const LONGEST_SILENCE_MS = 30_000; // large networks on a small machine take seconds

/** One connection, from its first message to its end. */
export class Session {
  #callbacks;
  #socket;
  /** @type {Terms | null} */
  #terms = null;
  #began = performance.now();
  #isEnded = false;
  #isEncoding = false;
  #lastId = 0;
  /** @type {Map<number, Frame>} */
  #underWay = new Map();

  /**
   * @param {string | null} model to ask for; null for the service's default
   * @param {Callbacks} callbacks
   */
  constructor(model, callbacks) {
    const wishes = model === null ? WISHES : { ...WISHES, model };
    this.#callbacks = callbacks;
    this.#socket = new WebSocket(address(), protocols());
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("open", () => this.#socket.send(JSON.stringify(wishes)));
    this.#socket.addEventListener("message", ({ data }) => this.#receive(data));
    this.#socket.addEventListener("close", async (event) => {
      if (this.#isEnded) return;
      this.#end(await causeOf(event, this.#terms !== null));
    });
  }

  /** Pixels that a frame may have; 0 while none can be sent. */
  get room() {
    const isFull = this.#isEncoding || this.#underWay.size >= MOST_UNDER_WAY;
    return this.#terms && !this.#isEnded && !isFull ? this.#terms.max_pixels : 0;
  }

  /**
   * Send a frame, for which there has to be room.
   * @param {Frame} frame
   */
  async send(frame) {
    this.#isEncoding = true;
    const jpeg = await jpegOf(frame);
    this.#isEncoding = false;
    if (!jpeg || this.#socket.readyState !== WebSocket.OPEN) return this.#callbacks.onUnanswered(frame);
    const id = ++this.#lastId;
    this.#underWay.set(id, frame);
    const head = new DataView(new ArrayBuffer(4));
    head.setUint32(0, id, true);
    this.#socket.send(new Blob([head, jpeg]));
  }

  /**
   * End the session if the service has been silent for too long, as after a change of networks.
   * @param {number} now by performance.now()
   */
  endIfSilent(now) {
    const [oldest] = this.#underWay.values();
    const since = oldest?.captured ?? (this.#terms ? now : this.#began);
    if (now - since > LONGEST_SILENCE_MS) this.#end(lost());
  }

  /** Hang up. No answer and no end is reported after that. */
  close() {
    this.#isEnded = true;
    this.#socket.close(1000);
  }

  /** @param {Problem} problem */
  #end(problem) {
    if (this.#isEnded) return;
    this.close();
    this.#callbacks.onEnd(problem);
  }

  /** @param {string | ArrayBuffer} message */
  #receive(message) {
    if (this.#isEnded) return;
    try {
      if (typeof message === "string") this.#hear(JSON.parse(message));
      else if (this.#terms) this.#take(answerOf(message, this.#terms.kind));
    } catch (error) {
      this.#end(error instanceof Problem ? error : new Problem({ status: 200, code: "other" }));
    }
  }

  /** @param {Terms | {id?: number, error: {status: number, code: string, detail: string}}} said without id: the end */
  #hear(said) {
    if (!("error" in said)) {
      this.#terms = said;
      return this.#callbacks.onReady(said);
    }
    const problem = new Problem(said.error);
    if (said.id === undefined) return this.#end(problem);
    const frame = this.#settled(said.id);
    if (frame) this.#callbacks.onUnanswered(frame);
    this.#callbacks.onFailure(problem);
  }

  /** @param {Answer} answer */
  #take(answer) {
    const frame = this.#settled(answer.id);
    if (frame) this.#callbacks.onAnswer(answer, frame);
  }

  /**
   * The frame with an id. Older ones that are still under way were dropped: answers come in order.
   * @param {number} id
   */
  #settled(id) {
    const frame = this.#underWay.get(id);
    for (const [other, old] of this.#underWay) {
      if (other > id) continue;
      this.#underWay.delete(other);
      if (other < id) this.#callbacks.onUnanswered(old);
    }
    return frame;
  }
}

function address() {
  const url = new URL("live", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

/** A browser sends no headers with a WebSocket, so an API key is one of the subprotocols. */
function protocols() {
  const key = apiKey();
  if (!key) return [PROTOCOL];
  const base64url = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [PROTOCOL, `depthsvc.key.${base64url}`];
}

const lost = () => new Problem({ status: 0, code: "liveLost" });

/**
 * Why a connection ended: the service names a code, or the network failed, or there never was one.
 * @param {CloseEvent} event
 * @param {boolean} wasReady
 */
async function causeOf({ code, reason }, wasReady) {
  if (reason) return new Problem({ status: code, code: reason });
  return wasReady ? lost() : refusal();
}

/** Why the service refuses a session, which a browser does not tell of a WebSocket. */
async function refusal() {
  try {
    const response = await fetch("live", { headers: authorization() });
    const { code, detail } = await response.json().catch(() => ({ code: "other" }));
    return new Problem({ status: response.status, code, detail });
  } catch {
    return new Problem({ status: 0, code: "unreachable" });
  }
}
