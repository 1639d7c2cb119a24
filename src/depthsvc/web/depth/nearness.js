// Relative nearness: inverse depth scaled to one photo, 0 at its farthest and 1 at its nearest point.

const ROUNDING = 1e-6; // a range below this part of the maximum is rounding: the map is constant

/** The least and the greatest of some values, starting from an earlier [low, high]. */
export function extent(values, [low, high] = [Infinity, -Infinity]) {
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * What turns inverse depth into nearness.
 * @param {[number, number]} range least and greatest inverse depth
 * @returns {(value: number) => number} nearness 0..1; always 0 for a constant map
 */
export function scale([low, high]) {
  if (high - low <= ROUNDING * high) return () => 0;
  const factor = 1 / (high - low);
  return (value) => Math.min(Math.max((value - low) * factor, 0), 1);
}

/** A map (height, width) of inverse depth as one of nearness, and whether it is constant. */
export function normalized(map) {
  const [low, high] = extent(map.values);
  const nearness = scale([low, high]);
  return { ...map, values: map.values.map(nearness), constant: nearness(high) === 0 };
}
