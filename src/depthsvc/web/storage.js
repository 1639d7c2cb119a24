// What the browser remembers for the page, where it lets a page do so.

const attempt = (task) => {
  try {
    return task();
  } catch {
    return null; // storage can be forbidden, or full
  }
};

/** @param {"localStorage" | "sessionStorage"} kind @returns {string | null} */
export const recall = (kind, key) => attempt(() => window[kind].getItem(key));

/** @param {"localStorage" | "sessionStorage"} kind */
export const remember = (kind, key, value) => attempt(() => window[kind].setItem(key, value));
