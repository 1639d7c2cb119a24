// Small pictures for buttons and notes: strokes in the colour of the text around them, so that no font is needed.

/** @typedef {keyof typeof STROKES} Icon */

const SVG = "http://www.w3.org/2000/svg";

/** What is drawn, as the path of a pen on a square of 24 units. */
const STROKES = {
  upload: "M12 16V5m-5 5 5-5 5 5M4 16v3h16v-3",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM8.5 13a3.5 3.5 0 1 0 7 0 3.5 3.5 0 1 0-7 0",
  video: "M3 7h12v10H3zM15 11l6-3v8l-6-3",
  depth: "M12 4 3 8.5l9 4.5 9-4.5zM3 12.5l9 4.5 9-4.5M3 16.5l9 4.5 9-4.5",
  compare: "M12 3v18M3 6h6M3 18h6M3 6v12M15 6h6v12h-6",
  contrast: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 3v18M15 6v12M18 8.5v7",
  space: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  refocus: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5M9 12a3 3 0 1 0 6 0 3 3 0 1 0-6 0",
  download: "M12 4v11m-5-5 5 5 5-5M4 19h16",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  whole: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  copy: "M9 9h11v11H9zM15 5V4H4v11h1",
  link: "M10 14l4-4M11 7l2-2a4 4 0 0 1 6 6l-2 2M13 17l-2 2a4 4 0 0 1-6-6l2-2",
  stop: "M6 6l12 12M18 6 6 18",
  info: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 11v6M12 7v.5",
  clock: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 7v5l3 3",
  archive: "M4 4h16v5H4zM5 9v11h14V9M10 13h4",
  alert: "M12 4 2.5 20h19zM12 10v5M12 17.5v.5",
  language: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M3 12h18M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18",
};

/**
 * An icon, which says nothing to screen readers.
 * @param {Icon} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const attributes = { class: "icon", viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "aria-hidden": "true" };
  for (const [attribute, value] of Object.entries(attributes)) svg.setAttribute(attribute, value);
  path.setAttribute("d", STROKES[name]);
  svg.append(path);
  return svg;
}

/** Draw an icon at the beginning of each element that names one in `data-icon`. */
export function drawIcons() {
  for (const element of document.querySelectorAll("[data-icon]")) {
    const name = element.getAttribute("data-icon") ?? "";
    if (name in STROKES) element.prepend(icon(/** @type {Icon} */ (name)));
  }
}
