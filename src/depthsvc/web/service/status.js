// What the page says is happening: the model in use, the progress of a photo, what went wrong.

/** @import { Key, Values } from "../words/i18n.js" */
/** @import { Model } from "./api.js" */

import { element } from "../elements.js";
import { foreignKind, formatNames, maxBytes, maxPixels } from "../photo/formats.js";
import { recall, remember } from "../storage.js";
import { knows, quote, say } from "../words/i18n.js";
import { askForKey } from "./access.js";
import { apiKey, health } from "./api.js";

/** @typedef {{code: string, status?: number, detail?: string}} Failure a Problem, or one of the page's own codes */
/** @typedef {{name: string, size: number}} Sent of a photo: its name, and its bytes (0: unknown) */

const MEGA = 1e6;
/** Where what went wrong is not about a photo. */
export const NO_PHOTO = { name: "", size: 0 };

const model = element("model");
const waiting = element("waiting");
const progress = element("progress", HTMLProgressElement);
const failure = element("failure");

/**
 * Show what a person must not miss; on a phone it may be below what is on the screen.
 * @param {HTMLElement} box
 */
function reveal(box) {
  if (!box.hidden) return;
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

const FALLBACK_SEEN = "fallbackSeen"; // in the browser's storage
const fallback = element("fallback");
element("fallback-close").addEventListener("click", () => {
  remember("localStorage", FALLBACK_SEEN, "yes");
  fallback.hidden = true;
});

/**
 * Show which model is in use, whether it is the fallback, and whether its licence forbids commercial use. That it is the
 * fallback is explained until a person has read it.
 * @param {() => Model | null} chosen null: the service's default, of which no more is known
 */
export async function describeModel(chosen) {
  try {
    const { model: standard, degraded } = await health();
    if (!standard) throw new Error("This is not depthsvc's /health.");
    const { name, licence, non_commercial } = chosen() ?? { name: standard, licence: "", non_commercial: false };
    const isFallback = degraded && name === standard;
    say(model, isFallback ? "modelFallback" : non_commercial ? "modelNonCommercial" : "modelIs", { model: name });
    fallback.hidden = !isFallback || recall("localStorage", FALLBACK_SEEN) !== null;
    element("licence-note").hidden = !non_commercial;
    if (non_commercial) say(element("licence-note"), "licenceNote", { model: name, licence });
  } catch {
    say(model, "modelSilent");
  }
}

/**
 * Show what is being waited for.
 * @param {Key} key
 * @param {Values} [values]
 * @param {number | null} fraction 0..1 of it that is done; null if that is unknown
 */
export function wait(key, values, fraction = null) {
  say(element("progress-words"), key, values);
  if (fraction === null) progress.removeAttribute("value");
  else progress.value = fraction;
  clearFailure();
  reveal(waiting);
}

/**
 * Say which of several photos is being sent.
 * @param {number} number from 1
 * @param {number} all
 */
export function count(number, all) {
  const words = element("progress-count");
  words.hidden = all < 2;
  say(words, "progressCount", { number, all });
}

/** Nothing is being waited for any more. */
export function stopWaiting() {
  waiting.hidden = true;
}

/** What went wrong before no longer matters. */
export function clearFailure() {
  failure.hidden = true;
}

/**
 * Show what went wrong with a photo.
 * @param {Failure} problem
 * @param {Sent} photo
 */
export function fail(problem, photo = NO_PHOTO) {
  element("failed-name").textContent = photo.name;
  explain(element("failed-words"), problem, photo);
  reveal(failure);
}

/**
 * Say what went wrong: in the page's words for its code, or else in the service's own.
 * @param {HTMLElement} words
 * @param {Failure} problem
 * @param {Sent} photo
 */
export function explain(words, problem, photo) {
  const { code, status = 0, detail = "" } = problem;
  const values = { status, ...knownOf(problem, photo) };
  const key = [`error_${refined(problem, photo.name)}`, `error_${code}`].find((found) => knows(found, values));
  if (key) say(words, /** @type {Key} */ (key), values);
  else if (detail) quote(words, detail);
  else say(words, "error_other", { status });
  askForKey(["unauthorized", "wrong_key"].includes(code));
}

/**
 * What is known of a photo and of the limits that it may have exceeded.
 * @param {Failure} problem
 * @param {Sent} photo
 */
function knownOf({ detail = "" }, { name, size }) {
  const [, mostDetail] = /^input_size: .* at most (\d+)/.exec(detail) ?? [];
  /** @type {Values} */
  const known = { kind: foreignKind(name) };
  const [, width, height] = /\b(\d+) x (\d+) pixels/.exec(detail) ?? [];
  if (formatNames().length) known.formats = formatNames();
  if (mostDetail) known.mostDetail = mostDetail;
  if (width) known.megapixels = rounded((Number(width) * Number(height)) / MEGA);
  if (!size) return known;
  known.megabytes = rounded(size / MEGA);
  if (Number.isFinite(maxPixels())) known.mostMegapixels = rounded(maxPixels() / MEGA);
  if (Number.isFinite(maxBytes())) known.mostMegabytes = rounded(maxBytes() / MEGA);
  return known;
}

/**
 * With one decimal where the number is small.
 * @param {number} number
 */
const rounded = (number) => Number(number.toFixed(number < 100 ? 1 : 0));

/**
 * A code for which the page can say more than for the service's own.
 * @param {Failure} problem
 * @param {string} name
 */
function refined({ code, detail = "" }, name) {
  if (code === "unauthorized" && apiKey()) return "wrong_key";
  if (code === "unsupported_media_type" && foreignKind(name)) return "unsupported_kind";
  if (code === "invalid_parameter" && detail.startsWith("input_size:")) return "input_size";
  if (code === "too_many_pixels") return "this_many_pixels";
  return code;
}
