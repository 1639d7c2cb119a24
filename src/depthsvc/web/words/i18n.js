// How the page speaks: every text is shown by its key, in English or in Chinese.

import { findAll } from "../elements.js";
import { recall, remember } from "../storage.js";
import { ENGLISH } from "./en.js";
import { CHINESE } from "./zh.js";

/** @typedef {keyof typeof ENGLISH} Key */
/** @typedef {Record<string, string | number | string[]>} Values for the `{name}`s in a text; "or" joins a list */

const KEY = "language"; // in the browser's storage

/** @type {Record<string, {tag: string, locale: string, words: Record<string, string>}>} */
const LANGUAGES = {
  en: { tag: "en", locale: "en-GB", words: ENGLISH },
  zh: { tag: "zh-CN", locale: "zh-CN", words: CHINESE },
};
const PLACEHOLDER = /\{(\w+)\}/g;
let current = "en";

function preferred() {
  const wanted = [recall("localStorage", KEY) ?? "", ...navigator.languages];
  return wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((language) => language in LANGUAGES) ?? "en";
}

/**
 * Whether there are words for a key, and a value for every `{name}` in them.
 * @param {string} key
 * @param {Values} values
 * @returns {key is Key}
 */
export function knows(key, values) {
  const text = LANGUAGES[current].words[key];
  return text !== undefined && [...text.matchAll(PLACEHOLDER)].every(([, name]) => name in values);
}

/**
 * The words for a key in the current language, with every `{name}` filled in.
 * @param {string} key
 * @param {Values} values
 */
export function words(key, values = {}) {
  return LANGUAGES[current].words[key].replace(PLACEHOLDER, (_, name) => written(values[name]));
}

/** @param {string | number | string[]} value */
function written(value) {
  if (!Array.isArray(value)) return String(value);
  const list = new Intl.ListFormat(LANGUAGES[current].locale, { type: "disjunction" });
  return list.formatToParts(value).map(spaced).join("");
}

/**
 * Set a Chinese "or" apart from the Latin names around it.
 * @param {{type: "element" | "literal", value: string}} part
 */
function spaced({ type, value }) {
  return type === "literal" && /\p{Script=Han}/u.test(value) ? ` ${value} ` : value;
}

/**
 * Set an element's text, now and whenever the language changes.
 * @param {HTMLElement} element
 * @param {Key} key
 * @param {Values} values
 */
export function say(element, key, values = {}) {
  element.dataset.words = key;
  element.dataset.wordsValues = JSON.stringify(values);
  show(element);
}

/**
 * Set an element's text to words that are not the page's own, whatever their language.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function quote(element, text) {
  delete element.dataset.words;
  element.textContent = text;
}

/**
 * Leave an element without words.
 * @param {HTMLElement} element
 */
export const hush = (element) => quote(element, "");

/** @param {HTMLElement} element */
function show(element) {
  const { words: text, wordsValues, label, alt } = element.dataset;
  if (text) element.textContent = words(text, JSON.parse(wordsValues ?? "{}"));
  if (label) element.setAttribute("aria-label", words(label));
  if (alt) element.setAttribute("alt", words(alt));
}

/** @param {string} language */
function use(language) {
  current = language;
  document.documentElement.lang = LANGUAGES[language].tag;
  document.title = words("title");
  findAll("[data-words], [data-label], [data-alt]", HTMLElement).forEach(show);
}

/**
 * Speak the browser's language, or the one chosen earlier, and let a button switch it.
 * @param {HTMLElement} button
 */
export function speak(button) {
  use(preferred());
  button.lang = current === "en" ? LANGUAGES.zh.tag : "en";
  button.addEventListener("click", () => {
    button.lang = LANGUAGES[current].tag;
    use(current === "en" ? "zh" : "en");
    remember("localStorage", KEY, current);
  });
}
