// The form that asks for an API key.

import { element } from "../elements.js";
import { isKey, rememberApiKey } from "./api.js";

const form = element("access");
const input = element("key", HTMLInputElement);

/**
 * Show the form, or hide it.
 * @param {boolean} needed
 */
export function askForKey(needed) {
  form.hidden = !needed;
  if (needed) input.focus();
}

/**
 * Remember the key that a person enters.
 * @param {() => void} onKey
 * @param {() => void} onOther called for what can't be a key
 */
export function fromForm(onKey, onOther) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!isKey(key)) return onOther();
    rememberApiKey(key);
    onKey();
  });
}
