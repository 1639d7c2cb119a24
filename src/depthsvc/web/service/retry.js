// A busy service is asked again, when it said.

const BUSY = [429, 503];
const TRIES = 5;
const LONGEST_S = 60;

/** Wait, saying every second how many are left; AbortError when cancelled. */
function countdown(seconds, signal, onSecond) {
  return new Promise((resolve, reject) => {
    let left = seconds;
    const tick = () => {
      if (signal.aborted) return end(() => reject(new DOMException("Cancelled.", "AbortError")));
      if (left === 0) return end(resolve);
      onSecond(left--);
    };
    const timer = setInterval(tick, 1000);
    const end = (settle) => {
      clearInterval(timer);
      settle();
    };
    tick();
  });
}

/**
 * Do something until the service has room for it, at most five times.
 * @template T
 * @param {() => Promise<T>} task rejects with a Problem
 * @param {AbortSignal} signal
 * @param {(seconds: number) => void} onWait called every second with those that are left
 * @returns {Promise<T>}
 */
export async function patiently(task, signal, onWait) {
  for (let left = TRIES - 1; ; left--) {
    try {
      return await task();
    } catch (problem) {
      if (!BUSY.includes(problem.status) || left === 0) throw problem;
      const seconds = Math.min(Math.max(Math.ceil(problem.retryAfter), 1), LONGEST_S);
      await countdown(seconds, signal, onWait);
    }
  }
}
