// What the browser remembers for the page, if it lets the page do so.

/** @typedef {"localStorage" | "sessionStorage"} Kind */

/**
 * @template T
 * @param {() => T} task
 */
function attempt(task) {
  try {
    return task();
  } catch {
    return null; // storage can be forbidden, or full
  }
}

/**
 * @param {Kind} kind
 * @param {string} key
 * @returns {string | null}
 */
export const recall = (kind, key) => attempt(() => window[kind].getItem(key));

/**
 * @param {Kind} kind
 * @param {string} key
 * @param {string} value
 */
export const remember = (kind, key, value) => attempt(() => window[kind].setItem(key, value));
