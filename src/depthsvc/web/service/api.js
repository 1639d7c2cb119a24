// The service, as the page sees it.

/** @import { Kind } from "../depth/kind.js" */
/** @import { NetworkMap } from "../depth/resize.js" */

import { fromFloat16 } from "../depth/float16.js";
import { INVERSE_DEPTH, METRES } from "../depth/kind.js";
import { recall, remember } from "../storage.js";

/**
 * What a photo is sent with: the name of a model and an input size in pixels; null for the service's default and the
 * model's own; whether the map's edges are aligned with the photo's.
 * @typedef {{model: string | null, inputSize: number | null, refine: boolean}} Asked
 */

/**
 * A photo's depth on the network's own small grid, or with the photo's edges on a grid for the screen; the model that
 * produced it, and what was asked for; by which EXIF orientation the photo was turned; the angle in degrees that its
 * longer side spans, if its EXIF data says so; milliseconds by stage.
 * @typedef {NetworkMap & {model: string, asked: Asked, orientation: number, fov: number | null,
 *     timing: Record<string, number>}} Depth
 */

/**
 * `input`: of the network; `kind`: of what it predicts; `refines`: whether its maps are meant to have the photo's edges.
 * @typedef {{name: string, kind: Kind, licence: string, non_commercial: boolean, refines?: boolean,
 *     input?: {size: number, multiple: number, rule: string}}} Model
 */

const KEY = "apiKey"; // in the storage of this tab, which is emptied when the tab is closed
let givenKey = recall("sessionStorage", KEY);

/** What the service sent instead of a result; `code` is stable, `detail` is for people who read English. */
export class Problem extends Error {
  /** @param {{status: number, code: string, detail?: string, retryAfter?: number}} problem */
  constructor({ status, code, detail = "", retryAfter = 0 }) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfter = retryAfter; // seconds
  }
}

/** The API key that a person has entered, or null. */
export const apiKey = () => givenKey;

/** @param {string} key */
export function rememberApiKey(key) {
  givenKey = key;
  remember("sessionStorage", KEY, key);
}

/**
 * Whether a text can be a key: visible ASCII, as a header carries nothing else.
 * @param {string} text
 */
export const isKey = (text) => /^[\x21-\x7e]+$/.test(text);

/**
 * The headers of a request to the service.
 * @returns {Record<string, string>}
 */
export const authorization = () => (givenKey ? { Authorization: `Bearer ${givenKey}` } : {});

/**
 * The model, and whether it is the fallback.
 * @returns {Promise<{model: string, degraded: boolean}>}
 */
export async function health() {
  return (await fetch("health")).json();
}

/**
 * The models that photos may be sent to, the service's default first.
 * @returns {Promise<Model[]>}
 */
export async function servedModels() {
  const response = await fetch("models", { headers: authorization() });
  if (!response.ok) throw new Error(`The service responded with status ${response.status}.`);
  /** @type {{served: string[], models: Model[]}} */
  const { served, models } = await response.json();
  return served.flatMap((name) => models.filter((model) => model.name === name));
}

/**
 * A photo's depth. The photo is sent once; the page makes everything else from the response.
 * @param {Blob} photo
 * @param {Asked} asked
 * @param {{signal: AbortSignal, onProgress: (sent: number) => void}} options sent: 0..1
 * @returns {Promise<Depth>}
 * @throws {Problem} also with code "unreachable"; AbortError when cancelled
 */
export async function depth(photo, asked, { signal, onProgress }) {
  const query = queryOf({ size: asked.refine ? "screen" : "model" }, asked); // the page enlarges as the service does
  if (asked.refine) query.set("refine", "true");
  const request = await sent(`depth?${query}`, photo, { signal, onProgress });
  /** @type {ArrayBuffer} */
  const body = request.response;
  const [height, width] = (request.getResponseHeader("X-Depth-Shape") ?? "").split(",").map(Number);
  if (!(height > 0 && width > 0 && body.byteLength === 2 * height * width)) {
    throw new Problem({ status: request.status, code: "other" });
  }
  const stages = (request.getResponseHeader("Server-Timing") ?? "").matchAll(/\b(queue|decode|infer|render);dur=([\d.]+)/g);
  const timing = Object.fromEntries([...stages].map(([, stage, spent]) => [stage, Number(spent)]));
  return {
    values: fromFloat16(body),
    width,
    height,
    kind: request.getResponseHeader("X-Depth-Kind") === METRES ? METRES : INVERSE_DEPTH,
    enlargement: request.getResponseHeader("X-Depth-Enlargement"),
    model: request.getResponseHeader("X-Depth-Model") ?? "",
    asked,
    orientation: Number(request.getResponseHeader("X-Depth-Orientation")) || 1,
    fov: Number(request.getResponseHeader("X-Depth-Fov")) || null,
    timing,
  };
}

/**
 * A photo refocused by the service at its full size, or at 12.5 megapixels: the page's own view of it is only as large
 * as the screen.
 * @param {Blob} photo
 * @param {Asked} asked
 * @param {{x: number, y: number, strength: number}} wanted fractions 0..1: the sharp point, and the blur
 * @returns {Promise<Blob>} a JPEG
 * @throws {Problem} also with code "unreachable"
 */
export async function refocused(photo, asked, { x, y, strength }) {
  const query = queryOf({ focus: `${x.toFixed(4)},${y.toFixed(4)}`, strength: String(strength) }, asked);
  return new Blob([(await sent(`bokeh?${query}`, photo)).response], { type: "image/jpeg" });
}

/**
 * What a photo shows in space, as a file that the service makes.
 * @param {"mesh" | "normals" | "stereo"} route
 * @param {Blob} photo
 * @param {Asked} asked
 * @returns {Promise<Blob>} a GLB file, a PNG or a JPEG
 * @throws {Problem} also with code "unreachable"
 */
export async function inSpace(route, photo, asked) {
  const request = await sent(`${route}?${queryOf({}, asked)}`, photo);
  return new Blob([request.response], { type: request.getResponseHeader("Content-Type") ?? "" });
}

/**
 * @param {Record<string, string>} options
 * @param {Asked} asked
 */
function queryOf(options, { model, inputSize }) {
  const query = new URLSearchParams(options);
  if (model !== null) query.set("model", model);
  if (inputSize !== null) query.set("input_size", String(inputSize));
  return query;
}

/** @param {Blob} photo */
function formOf(photo) {
  const form = new FormData();
  form.append("image", photo);
  return form;
}

/**
 * Post a photo with XMLHttpRequest, because fetch doesn't report how much has been sent.
 * @param {string} address
 * @param {Blob} photo
 * @param {{signal?: AbortSignal, onProgress?: (sent: number) => void}} options sent: 0..1
 * @returns {Promise<XMLHttpRequest>}
 * @throws {Problem} for any status but 200
 */
function sent(address, photo, { signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.responseType = "arraybuffer";
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => (request.status === 200 ? resolve(request) : reject(problemOf(request))));
    request.addEventListener("error", () => reject(new Problem({ status: 0, code: "unreachable" })));
    request.addEventListener("abort", () => reject(new DOMException("A newer photo was chosen.", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(formOf(photo));
  });
}

/** @param {XMLHttpRequest} request */
function problemOf(request) {
  const { status } = request;
  const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
  try {
    const { code, detail } = JSON.parse(new TextDecoder().decode(request.response));
    return new Problem({ status, code, detail, retryAfter });
  } catch {
    return new Problem({ status, code: "other", retryAfter });
  }
}
