// The page's conductor: a photo comes in, is sent once, and everything else happens here in the browser.

import { apiKey, depth, health, isKey, Problem, refocused, rememberApiKey } from "./service/api.js";
import { fromCamera } from "./photo/camera.js";
import { depthNpy, depthPng16, heatmapPng, pointsPly, save } from "./files/depth_files.js";
import { loadColormaps } from "./views/heatmap_drawing.js";
import { HeatmapView, LookControls } from "./views/heatmap_view.js";
import { hush, knows, quote, say, speak } from "./words/i18n.js";
import { decoded, Picture } from "./photo/picture.js";
import { RefocusView } from "./views/refocus_view.js";
import { patiently } from "./service/retry.js";
import { fromDrop, fromInput, fromPaste, fromSamples } from "./photo/sources.js";
import { SpaceView } from "./views/space_view.js";
import { tabs } from "./views/tabs.js";

const element = (id) => document.getElementById(id);
const result = element("result");

let picture = null; // what is shown
let last = null; // the photo that was sent last, for another try
let sending = new AbortController();

// ------------------------------------------------------------------------------------------------- what is happening

/** Show what a person must not miss; on a phone it may lie below what is on the screen. */
function reveal(box) {
  if (!box.hidden) return;
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

function wait(key, values, part = null) {
  say(element("progress-words"), key, values);
  if (part === null) element("progress").removeAttribute("value");
  else element("progress").value = part;
  element("failure").hidden = true;
  reveal(element("waiting"));
}

/** Say in words what went wrong: by its stable code, else as the service said it. */
function fail(problem, name = "") {
  const code = problem.code === "unauthorized" && apiKey() ? "wrong_key" : problem.code;
  element("failed-name").textContent = name;
  if (knows(`error_${code}`)) say(element("failed-words"), `error_${code}`, { status: problem.status });
  else if (problem.detail) quote(element("failed-words"), problem.detail);
  else say(element("failed-words"), "error_other", { status: problem.status ?? 0 });
  reveal(element("failure"));
  const keyless = ["unauthorized", "wrong_key"].includes(problem.code);
  element("access").hidden = !keyless;
  if (keyless) element("key").focus();
}

const failWith = (code) => fail({ code });

async function describeModel() {
  try {
    const { model, degraded } = await health();
    if (!model) throw new Error("This is no state of depthsvc.");
    say(element("model"), degraded ? "modelFallback" : "modelIs", { model });
    element("model").classList.toggle("degraded", degraded);
    element("fallback-note").hidden = !degraded;
  } catch {
    say(element("model"), "modelSilent");
  }
}

// ------------------------------------------------------------------------------------------------------ photo to depth

async function estimated(photo, signal) {
  const onProgress = (part) =>
    part < 1 ? wait("uploading", { percent: Math.round(100 * part) }, part) : wait("estimating");
  return patiently(() => depth(photo, { signal, onProgress }), signal, (seconds) => wait("busy", { seconds }));
}

/** Send a photo and show its depth. A newer photo cancels an older one. */
async function send(photo) {
  sending.abort();
  const { signal } = (sending = new AbortController());
  last = photo;
  const name = photo.name || "photo";
  wait("preparing");
  try {
    const answer = await estimated(photo, signal);
    const image = await decoded(photo).catch(() => {
      throw new Problem({ status: 200, code: "undecodable" });
    });
    const next = new Picture(photo, image, answer);
    if (signal.aborted) next.release();
    else show(next);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    if (!(error instanceof Problem)) console.error(error);
    fail(error instanceof Problem ? error : { code: "other", status: 0 }, name);
  } finally {
    if (!signal.aborted) element("waiting").hidden = true;
  }
}

function cancel() {
  sending.abort();
  element("waiting").hidden = true;
}

// -------------------------------------------------------------------------------------------------------------- views

function show(next) {
  picture?.release();
  picture = next;
  const { image, width, height, name } = next;
  element("access").hidden = true;
  element("photo").src = image.src;
  result.style.setProperty("--ratio", width / height);
  result.hidden = false;
  document.body.dataset.state = "result";
  const { model, timing } = next.depth;
  const milliseconds = Math.round(Object.values(timing).reduce((sum, spent) => sum + spent, 0));
  say(element("facts"), "facts", { name, width, height, model, milliseconds });
  hush(element("saving"));
  views.space.take(next);
  views.refocus.take(next);
  views.heatmap.show(next);
  fit();
}

function fit() {
  views[result.dataset.view]?.fit();
  if (result.dataset.view === "compare") views.heatmap.fit();
}

function chooseView(view, tab) {
  result.dataset.view = view;
  element("panel").setAttribute("aria-labelledby", tab.id);
  document.querySelector("[data-save=refocused]").hidden = view !== "refocus";
  hush(element("saving"));
  fit();
}

// ---------------------------------------------------------------------------------------------------------- downloads

const FILES = {
  heatmap: ["-depth.png", () => heatmapPng(picture.depth, picture, views.heatmap.table, controls.look)],
  png16: ["-depth16.png", () => depthPng16(picture.depth, picture)],
  npy: ["-depth.npy", () => depthNpy(picture.depth, picture)],
  ply: ["-points.ply", () => pointsPly(picture.depth, picture, (width, height) => picture.pixelsAt(width, height))],
  refocused: ["-refocused.jpg", () => refocused(picture.photo, views.refocus.wanted)],
};

async function download(button) {
  const [suffix, make] = FILES[button.dataset.save];
  const name = `${picture.stem}${suffix}`;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  say(element("saving"), "saving", { name });
  try {
    save(await make(), name);
    say(element("saving"), "saved", { name });
  } catch (error) {
    console.error(error);
    say(element("saving"), "saveFailed");
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

// -------------------------------------------------------------------------------------------------------------- start

speak(element("language"));
describeModel();

const controls = new LookControls(
  Object.fromEntries(["colormap", "invert", "far", "near", "whole"].map((id) => [id, element(id)])),
  () => views.heatmap.paint(),
);
const frame = (id) => ({ canvas: element(id), frame: element(`${id}-frame`) });
const inFrame = (id, selector) => element(`${id}-frame`).querySelector(selector);
const views = {
  heatmap: new HeatmapView(
    {
      ...frame("heatmap"),
      legend: element("legend"),
      photoFrame: element("photo-frame"),
      readout: element("readout"),
      marks: [inFrame("heatmap", ".cursor"), inFrame("photo", ".cursor")],
    },
    controls,
    await loadColormaps().catch(() => ({})),
  ),
  space: new SpaceView({
    ...frame("space"),
    missing: inFrame("space", ".missing"),
    ...Object.fromEntries(["closer", "farther", "reset"].map((id) => [id, element(id)])),
  }),
  refocus: new RefocusView({
    ...frame("refocus"),
    focus: inFrame("refocus", ".focus"),
    missing: inFrame("refocus", ".missing"),
    strength: element("strength"),
  }),
};
views.heatmap.paint();
tabs(element("views"), chooseView);
new ResizeObserver(() => requestAnimationFrame(fit)).observe(result);
element("cut").addEventListener("input", ({ target }) => result.style.setProperty("--cut", `${target.value}%`));

fromInput(element("file"), send);
fromInput(element("capture"), send);
fromDrop(element("drop"), send, () => failWith("noFile"));
fromPaste(send);
fromSamples(document.querySelectorAll("[data-sample]"), send, () => failWith("noSample"));
fromCamera(
  {
    button: element("camera"),
    capture: element("capture"),
    dialog: element("camera-dialog"),
    video: element("viewfinder"),
    shoot: element("shoot"),
    close: element("camera-close"),
  },
  send,
  failWith,
);
element("cancel").addEventListener("click", cancel);
element("access").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = element("key").value.trim();
  if (!isKey(key)) return fail({ code: "wrong_key" });
  rememberApiKey(key);
  if (last) send(last);
});
for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => download(button));
document.body.dataset.ready = "";
