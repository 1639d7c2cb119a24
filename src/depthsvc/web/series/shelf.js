// The photos of the last visit, which this browser alone keeps, as far as it lets the page do so.

/** @import { Parts } from "../photo/kept.js" */

import { Kept } from "../photo/kept.js";
import { Entry } from "./entry.js";

/** @typedef {{key: number, parts: Parts}} Stored */

const MOST_BYTES = 100e6;
const STORE = "photos";
const UNKNOWN = "unknown";

/** Keeps the newest photos that have depth, and shows them again in the next visit. */
export class Shelf {
  #onKept;
  #keys = UNKNOWN; // of what is kept
  #last = Promise.resolve();

  /** @param {(isKept: boolean) => void} onKept called when photos have been kept, or can't be */
  constructor(onKept) {
    this.#onKept = onKept;
  }

  /**
   * Keep these photos instead of all others.
   * @param {Entry[]} entries
   */
  keep(entries) {
    const stored = newest(entries);
    const keys = keysOf(stored);
    if (keys === this.#keys) return;
    this.#keys = keys;
    this.#last = this.#last.then(() => replace(stored)).then(
      () => this.#onKept(stored.length > 0),
      async () => {
        this.#onKept(false);
        await replace([]).catch(() => {}); // rather nothing than what is old
      },
    );
  }

  /** Wait until all is kept that is to be kept. */
  async settle() {
    await this.#last;
  }

  /**
   * What was kept in the last visit, but for what the browser has lost.
   * @returns {Promise<Entry[]>}
   */
  async entries() {
    const stored = await kept().catch(() => []);
    if (this.#keys === UNKNOWN) this.#keys = keysOf(stored);
    return stored.map(({ key, parts }) => Entry.of(key, new Kept(parts)));
  }
}

/**
 * The newest of the entries that have depth, as many as may be stored; oldest first.
 * @param {Entry[]} entries
 * @returns {Stored[]}
 */
function newest(entries) {
  let left = MOST_BYTES;
  const withDepth = entries.map((entry) => entry.former ?? entry).reverse();
  const stored = withDepth.flatMap(({ key, kept }) =>
    kept && (left -= kept.bytes) >= 0 ? { key, parts: kept.parts } : [],
  );
  return stored.reverse();
}

/** @param {Stored[]} stored */
const keysOf = (stored) => stored.map(({ key }) => key).join();

/**
 * All photos that can still be read, oldest first. Each in a transaction of its own: one that can't ends its transaction.
 * @returns {Promise<Stored[]>}
 */
async function kept() {
  const found = [];
  for (const key of await within("readonly", (store) => settled(store.getAllKeys()))) {
    found.push(await within("readonly", (store) => settled(store.get(key))).catch(() => null));
  }
  return found.filter(Boolean);
}

/** @param {Stored[]} wanted */
async function replace(wanted) {
  await within("readwrite", async (store) => {
    const there = new Set(await settled(store.getAllKeys()));
    for (const key of there) if (!wanted.some((one) => one.key === key)) store.delete(key);
    for (const one of wanted) if (!there.has(one.key)) store.put(one);
  });
}

/**
 * The result of a task in one transaction, once it is certain.
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => Promise<T>} task
 * @returns {Promise<T>}
 */
async function within(mode, task) {
  const database = await opened();
  try {
    const transaction = database.transaction(STORE, mode);
    const completed = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const started = async () => task(transaction.objectStore(STORE));
    const [result] = await Promise.all([started(), completed]);
    return result;
  } finally {
    database.close();
  }
}

/** The database of this page; another service under another path has its own. */
function opened() {
  const request = indexedDB.open(`depthsvc ${new URL(document.baseURI).pathname}`, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
  return settled(request);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
