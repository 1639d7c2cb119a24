// How many frames a second are shown, and how old they are.

const PERIOD_MS = 500; // numbers that change more often cannot be read

/** Averages over half a second. */
export class Pace {
  #began = 0;
  /** @type {number[]} */
  #ages = [];

  /** Begin again at a time by performance.now(). */
  restart(now = performance.now()) {
    this.#began = now;
    this.#ages = [];
  }

  /**
   * Count a frame that is shown.
   * @param {number} captured when it was captured, by performance.now()
   * @param {number} now
   * @returns {{rate: number, age: number} | null} frames a second and milliseconds, once in a while
   */
  count(captured, now = performance.now()) {
    this.#ages.push(now - captured);
    const passed = now - this.#began;
    if (passed < PERIOD_MS) return null;
    const age = this.#ages.reduce((sum, one) => sum + one, 0) / this.#ages.length;
    const rate = (1000 * this.#ages.length) / passed;
    this.restart(now);
    return { rate, age };
  }
}
