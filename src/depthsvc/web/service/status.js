// What the page says is happening: the model in use, the progress of a photo, what went wrong.

/** @import { Key, Values } from "../words/i18n.js" */
/** @import { Model } from "./api.js" */

import { element } from "../elements.js";
import { foreignKind, formatNames } from "../photo/formats.js";
import { knows, quote, say } from "../words/i18n.js";
import { askForKey } from "./access.js";
import { apiKey, health } from "./api.js";

/** @typedef {{code: string, status?: number, detail?: string}} Failure a Problem, or one of the page's own codes */

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

/**
 * Show which model is in use, whether it is the fallback, and whether its licence forbids commercial use.
 * @param {() => Model | null} chosen null: the service's default, of which no more is known
 */
export async function describeModel(chosen) {
  try {
    const { model: standard, degraded } = await health();
    if (!standard) throw new Error("This is not depthsvc's /health.");
    const { name, licence, non_commercial } = chosen() ?? { name: standard, licence: "", non_commercial: false };
    const isFallback = degraded && name === standard;
    say(model, isFallback ? "modelFallback" : non_commercial ? "modelNonCommercial" : "modelIs", { model: name });
    model.classList.toggle("degraded", isFallback);
    element("fallback-note").hidden = !isFallback;
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
 * @param {string} name of the photo
 */
export function fail(problem, name = "") {
  element("failed-name").textContent = name;
  explain(element("failed-words"), problem, name);
  reveal(failure);
}

/**
 * Say what went wrong: in the page's words for its code, or else in the service's own.
 * @param {HTMLElement} words
 * @param {Failure} problem
 * @param {string} name of the photo
 */
export function explain(words, { code, status = 0, detail = "" }, name) {
  const key = `error_${refined(code, name)}`;
  /** @type {Values} */
  const values = { status, kind: foreignKind(name) };
  if (formatNames().length) values.formats = formatNames();
  if (knows(key, values)) say(words, key, values);
  else if (detail) quote(words, detail);
  else say(words, "error_other", { status });
  askForKey(["unauthorized", "wrong_key"].includes(code));
}

/**
 * A code for which the page can say more than for the service's own.
 * @param {string} code
 * @param {string} name
 */
function refined(code, name) {
  if (code === "unauthorized" && apiKey()) return "wrong_key";
  if (code === "unsupported_media_type" && foreignKind(name)) return "unsupported_kind";
  return code;
}
