// The page's conductor: a photo comes in, is sent once, and everything else happens here in the browser.

import { element, findAll } from "./elements.js";
import { downloadsOf, offerDownloads, renewDownloads, saveWith } from "./files/downloads.js";
import { offerSharing } from "./files/sharing.js";
import { drawIcons } from "./icons.js";
import { LiveEntrance } from "./live/entrance.js";
import { fromCamera } from "./photo/camera.js";
import { formatNames, loadFormats, mediaTypes, offersLive } from "./photo/formats.js";
import { fromDrop, fromInput, fromPaste, fromSamples } from "./photo/sources.js";
import { archive } from "./series/archive.js";
import { Shelf } from "./series/shelf.js";
import { Strip } from "./series/strip.js";
import { askForKey, fromForm } from "./service/access.js";
import { DetailChoice } from "./service/detail.js";
import { ModelChoice } from "./service/models.js";
import { Sender } from "./service/sender.js";
import { describeModel, fail } from "./service/status.js";
import { loadColormaps } from "./views/heatmap_drawing.js";
import { speakOfKind } from "./views/kind_words.js";
import { settingsOf } from "./views/link.js";
import { ModelMaps } from "./views/model_maps.js";
import { Views } from "./views/views.js";
import { recall, remember } from "./storage.js";
import { say, speak } from "./words/i18n.js";

drawIcons();
speak(element("language"));
const models = new ModelChoice({ field: element("models"), select: element("model-choice", HTMLSelectElement) }, () => {
  describe();
  again();
});
const detail = new DetailChoice(
  {
    field: element("details"),
    select: element("detail-choice", HTMLSelectElement),
    edgesField: element("edges-field"),
    edges: element("edges", HTMLInputElement),
  },
  () => sender.sendAgain(),
);
/** Do what is open again, with what has changed. */
function again() {
  if (live.isOpen) live.start();
  else sender.sendAgain();
}
/** Go on with what needed an API key. */
function resume() {
  if (live.isOpen) live.start();
  else sender.resume();
}
/** Say what is known of the model that photos are sent to. Once there is a picture, its own depth says its kind. */
function describe() {
  describeModel(() => models.model);
  detail.offer(models.model);
  if (models.model?.kind && element("result").hidden) speakOfKind(models.model.kind);
}

const file = element("file", HTMLInputElement);
const formats = loadFormats().then(() => {
  file.accept = mediaTypes().join();
  say(element("formats"), "formatsHint", { formats: formatNames() });
}, () => {}); // if that fails, any picture can be chosen, and the service says what it doesn't support
const offered = Promise.all([models.load(), formats]).then(describe);

const colormaps = await loadColormaps().catch(() => ({}));
const views = new Views(colormaps, renewDownloads);
offerDownloads(views);
offerSharing(views);
const maps = new ModelMaps(
  { details: element("by-model", HTMLDetailsElement), list: element("model-maps") },
  () => views.heatmap,
);
offered.then(() => maps.offer(models.served));
/** Colour everything again that is not the heatmap itself. */
function repaint() {
  strip.repaint();
  maps.paint();
}
const live = new LiveEntrance(colormaps, () => models.asked(), {
  onOpen: () => sender.cancel(),
  onLeave: showResult,
});
/** Show the result, if there is one. */
function showResult() {
  document.body.dataset.state = views.picture ? "result" : "empty";
  element("result").hidden = !views.picture;
  if (views.picture) speakOfKind(views.picture.depth.kind);
  else describe();
}

const asked = async () => ({ model: await models.asked(), inputSize: detail.inputSize, refine: detail.refine });
const sender = new Sender(asked, (picture) => {
  askForKey(false);
  views.show(picture);
  maps.show(picture);
  speakOfKind(picture.depth.kind);
  element("shrunk-note").hidden = !picture.isShrunk;
}, follow);
const OPEN = "openPhoto"; // in the browser's storage
const keptNote = element("kept-note");
const shelf = new Shelf((isKept) => {
  keptNote.hidden = !isKept;
  say(keptNote, "keptNote");
});
/** Show and keep what there is now. */
function follow() {
  const { entries, open, offered } = sender;
  strip.show(entries, open, offered);
  element("kept").hidden = !views.picture && entries.length < 2;
  if (open) remember("sessionStorage", OPEN, String(open.key));
  shelf.keep(entries);
}
const strip = new Strip(() => views.heatmap, (entry) => {
  live.leave();
  sender.choose(entry);
});
/** @param {File[]} photos */
const send = (photos) => {
  live.leave();
  sender.send(photos);
};
element("colour-controls").addEventListener("input", repaint);
for (const id of ["whole", "auto"]) element(id).addEventListener("click", repaint);
element("clear").addEventListener("click", () => {
  views.clear();
  maps.show(null);
  sender.clear();
  showResult();
  element("file").focus();
});
/** Choose what a link says. */
function followLink() {
  const settings = settingsOf(location.hash);
  if (!settings) return;
  views.choose(settings);
  repaint();
}
addEventListener("hashchange", followLink);
followLink();
const zipButton = element("series-zip", HTMLButtonElement);
zipButton.addEventListener("click", async () => {
  const kind = element("series-kind", HTMLSelectElement).value;
  const name = `depth-${kind}.zip`;
  let missing = 0;
  const isSaved = await saveWith(zipButton, element("series-saved"), name, async () => {
    const { blob, lost } = await archive(sender.entries, downloadsOf(views)[kind]);
    missing = lost;
    return blob;
  });
  if (isSaved && missing) say(element("series-saved"), "savedWithout", { name, count: missing });
});
/** @param {string} code */
const failWith = (code) => fail({ code });

const capture = element("capture", HTMLInputElement);
fromInput(file, send);
fromInput(capture, send);
fromDrop(document.body, send, () => failWith("noFile"));
fromPaste(send);
fromSamples(findAll("[data-sample]", HTMLButtonElement), send, () => failWith("noSample"));
fromCamera(
  {
    button: element("camera", HTMLButtonElement),
    capture,
    dialog: element("camera-dialog", HTMLDialogElement),
    video: element("viewfinder", HTMLVideoElement),
    shoot: element("shoot", HTMLButtonElement),
    close: element("camera-close", HTMLButtonElement),
  },
  (photo) => send([photo]),
  failWith,
);
fromForm(async () => {
  await models.load();
  describe();
  maps.offer(models.served);
  resume();
}, () => failWith("wrong_key"));
element("cancel").addEventListener("click", () => sender.cancel());
await Promise.all([formats, offered]);
live.offer(offersLive());
shelf.entries().then(async (entries) => {
  if (live.isOpen || !(await sender.restore(entries, Number(recall("sessionStorage", OPEN))))) return;
  await shelf.settle(); // without what is lost, it has other photos to keep, and says so
  keptNote.hidden = false;
  say(keptNote, "keptAgain");
});
document.body.dataset.ready = "";
