// A slider with a percentage beside it.

/**
 * Show where a slider of 0..100 is in the output that follows it.
 * @param {HTMLInputElement} slider
 */
export function showPercent(slider) {
  const output = slider.nextElementSibling;
  if (output) output.textContent = `${slider.value} %`;
}
