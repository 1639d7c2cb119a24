// Distances, as a person reads them.

/**
 * Metres with two digits, which is about what a model is good for, or rounded to whole ones.
 * @param {number} metres > 0
 */
export const distance = (metres) => (metres < 99.5 ? metres.toPrecision(2) : metres.toFixed(0));
