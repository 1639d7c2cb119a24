// The layers of one photo, made beside the page, which stays responsive.

import { INVERSE_DEPTH } from "./kind.js";
import { layers } from "./layers.js";
import { relief } from "./relief.js";
import { upsample } from "./resize.js";

addEventListener("message", ({ data: { depth, width, height, pixels, half } }) => {
  const deep = relief(depth); // before it is enlarged, so that nothing is between unknown and known
  const { enlargement } = depth;
  const nearness = upsample({ ...deep.nearness, kind: INVERSE_DEPTH, enlargement }, width, height);
  const made = layers(nearness, pixels, half);
  const { front, back, edges, outline, fill } = made;
  const arrays = [front.vertices, front.triangles, back.vertices, back.triangles, edges, outline, fill];
  postMessage({ relief: deep, layers: made }, { transfer: arrays.map(({ buffer }) => buffer) });
});
