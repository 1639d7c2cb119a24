// Retrying a busy service after the time it asks for.

import { Problem } from "./api.js";

const BUSY = [429, 503];
const TRIES = 5;
const LONGEST_S = 60;

/**
 * Wait, calling back every second with the seconds that are left; AbortError when cancelled.
 * @param {number} seconds
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onSecond
 * @returns {Promise<void>}
 */
export function countdown(seconds, signal, onSecond) {
  return new Promise((resolve, reject) => {
    let left = seconds;
    const tick = () => {
      if (signal.aborted) return end(() => reject(new DOMException("Cancelled.", "AbortError")));
      if (left === 0) return end(resolve);
      onSecond(left--);
    };
    const timer = setInterval(tick, 1000);
    /** @param {() => void} settle */
    const end = (settle) => {
      clearInterval(timer);
      settle();
    };
    tick();
  });
}

/**
 * Do something as soon as the service has room for it, in at most five attempts.
 * @template T
 * @param {() => Promise<T>} task
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onWait called every second with those that are left
 * @returns {Promise<T>}
 */
export async function patiently(task, signal, onWait) {
  for (let left = TRIES - 1; ; left--) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof Problem && BUSY.includes(error.status)) || left === 0) throw error;
      const seconds = Math.min(Math.max(Math.ceil(error.retryAfter), 1), LONGEST_S);
      await countdown(seconds, signal, onWait);
    }
  }
}
