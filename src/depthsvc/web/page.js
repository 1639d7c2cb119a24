// The page's conductor: a photo comes in, is sent once, and everything else happens here in the browser.

import { element, findAll } from "./elements.js";
import { offerDownloads, renewDownloads } from "./files/downloads.js";
import { fromCamera } from "./photo/camera.js";
import { formatNames, loadFormats, mediaTypes } from "./photo/formats.js";
import { fromDrop, fromInput, fromPaste, fromSamples } from "./photo/sources.js";
import { askForKey, fromForm } from "./service/access.js";
import { ModelChoice } from "./service/models.js";
import { Sender } from "./service/sender.js";
import { describeModel, fail } from "./service/status.js";
import { loadColormaps } from "./views/heatmap_drawing.js";
import { speakOfKind } from "./views/kind_words.js";
import { Views } from "./views/views.js";
import { say, speak } from "./words/i18n.js";

speak(element("language"));
const models = new ModelChoice({ field: element("models"), select: element("model-choice", HTMLSelectElement) }, () => {
  describe();
  sender.sendAgain();
});
/** Say what is known of the model that photos are sent to. Once there is a picture, its own depth says its kind. */
function describe() {
  describeModel(() => models.model);
  if (models.model?.kind && element("result").hidden) speakOfKind(models.model.kind);
}
const offered = models.load().then(describe);

const file = element("file", HTMLInputElement);
const formats = loadFormats().then(() => {
  file.accept = mediaTypes().join();
  say(element("formats"), "formatsHint", { formats: formatNames() });
}, () => {}); // if that fails, any picture can be chosen, and the service says what it doesn't support

const views = new Views(await loadColormaps().catch(() => ({})), renewDownloads);
offerDownloads(views);

const sender = new Sender(() => models.asked(), (picture) => {
  askForKey(false);
  views.show(picture);
  speakOfKind(picture.depth.kind);
  element("shrunk-note").hidden = !picture.isShrunk;
});
/** @param {File} photo */
const send = (photo) => sender.send(photo);
/** @param {string} code */
const failWith = (code) => fail({ code });

const capture = element("capture", HTMLInputElement);
fromInput(file, send);
fromInput(capture, send);
fromDrop(element("drop"), send, () => failWith("noFile"));
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
  send,
  failWith,
);
fromForm(async () => {
  await models.load();
  describe();
  sender.sendAgain();
}, () => failWith("wrong_key"));
element("cancel").addEventListener("click", () => sender.cancel());
await Promise.all([formats, offered]);
document.body.dataset.ready = "";
