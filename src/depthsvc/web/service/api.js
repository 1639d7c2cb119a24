// The service, as the page sees it.

import { fromFloat16 } from "../depth/float16.js";
import { recall, remember } from "../storage.js";

const KEY = "apiKey"; // in the storage of this tab, which forgets it when it is closed
let givenKey = recall("sessionStorage", KEY);

/** What the service answered instead of depth; `code` is stable, `detail` is for people who read English. */
export class Problem extends Error {
  constructor({ status, code, detail = "", retryAfter = 0 }) {
    super(detail);
    Object.assign(this, { status, code, detail, retryAfter });
  }
}

/** The key of the service that a person has given, or null. */
export const apiKey = () => givenKey;

export function rememberApiKey(key) {
  givenKey = key;
  remember("sessionStorage", KEY, key);
}

/** Whether a key can be one: a header carries nothing else. */
export const isKey = (text) => /^[\x21-\x7e]+$/.test(text);

/**
 * The model and whether it is the fallback.
 * @returns {Promise<{model: string, degraded: boolean}>}
 */
export async function health() {
  return (await fetch("health")).json();
}

/**
 * A photo's depth on the network's own small grid. It is sent once; everything else is made from the answer.
 * @param {Blob} photo
 * @param {{signal: AbortSignal, onProgress: (sent: number) => void}} options sent: 0..1
 * @returns {Promise<{values: Float32Array, width: number, height: number, enlargement: string,
 *     model: string, timing: Object<string, number>}>}
 *     relative inverse depth row by row, larger is nearer; milliseconds by stage
 * @throws {Problem} also with code "unreachable"; AbortError when cancelled
 */
export async function depth(photo, { signal, onProgress }) {
  const request = await sent(photo, signal, onProgress);
  if (request.status !== 200) throw problemOf(request);
  const [height, width] = (request.getResponseHeader("X-Depth-Shape") ?? "").split(",").map(Number);
  if (!(height > 0 && width > 0 && request.response.byteLength === 2 * height * width)) {
    throw new Problem({ status: request.status, code: "other" });
  }
  const stages = (request.getResponseHeader("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g);
  const timing = Object.fromEntries([...stages].map(([, stage, spent]) => [stage, Number(spent)]));
  return {
    values: fromFloat16(request.response),
    width,
    height,
    enlargement: request.getResponseHeader("X-Depth-Enlargement"),
    model: request.getResponseHeader("X-Depth-Model"),
    timing,
  };
}

/**
 * A photo refocused by the service, in its full size: the page's own view of it is only as large as the screen.
 * @param {Blob} photo
 * @param {{x: number, y: number, strength: number}} wanted the sharp point, parts 0..1 of width and height; 0..1
 * @returns {Promise<Blob>} a JPEG
 * @throws {Error}
 */
export async function refocused(photo, { x, y, strength }) {
  const body = new FormData();
  body.append("image", photo);
  const query = new URLSearchParams({ focus: `${x.toFixed(4)},${y.toFixed(4)}`, strength });
  const answer = await fetch(`bokeh?${query}`, { method: "POST", headers: authorization(), body });
  if (!answer.ok) throw new Error(`The service answered ${answer.status}.`);
  return answer.blob();
}

const authorization = () => (apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {});

/** XMLHttpRequest, because fetch does not tell how much has been sent. */
function sent(photo, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "depth?size=model");
    request.responseType = "arraybuffer";
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Problem({ status: 0, code: "unreachable" })));
    request.addEventListener("abort", () => reject(new DOMException("A newer photo was chosen.", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.append("image", photo);
    request.send(form);
  });
}

function problemOf(request) {
  const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
  try {
    const { code, detail } = JSON.parse(new TextDecoder().decode(request.response));
    return new Problem({ status: request.status, code, detail, retryAfter });
  } catch {
    return new Problem({ status: request.status, code: "other", retryAfter });
  }
}
