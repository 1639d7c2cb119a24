// The page's words in English and Chinese.

import { recall, remember } from "../storage.js";

const KEY = "language";

const ENGLISH = {
  title: "depthsvc: a photo in, its depth out",
  tagline: "A photo in, its depth out",
  switchLanguage: "中文",
  switchLanguageLabel: "切换到中文",
  skip: "Skip to the photo",
  modelAsking: "Asking which model answers …",
  modelIs: "Model: {model}",
  modelFallback: "Model: {model} · fallback, not MiDaS",
  modelSilent: "The service does not answer",
  modelFallbackNote:
    "MiDaS_small is not at hand, so this project's small embedded model stands in for it. Its depth is less accurate.",
  upload: "📂 Upload a photo",
  camera: "📷 Take a photo",
  dropHint: "or drop one here, or paste it. JPEG, PNG or WebP.",
  privacy: "It goes to this service and nowhere else.",
  samples: "Or try a rendered scene",
  sample_room: "Room",
  sample_street: "Street",
  sample_path: "Path",
  sample_table: "Table",
  preparing: "Opening the photo …",
  uploading: "Uploading … {percent} %",
  estimating: "Estimating depth …",
  busy: "The service is busy. Trying again in {seconds} s …",
  cancel: "Cancel",
  keyLabel: "API key of this service",
  keyHint: "It is kept in this tab until you close it.",
  keySubmit: "Try again",
  views: "Views",
  viewHeatmap: "Depth",
  viewCompare: "Compare",
  viewSpace: "3-D",
  viewRefocus: "Refocus",
  photo: "Photo",
  photoAlt: "Your photo",
  depth: "Depth",
  heatmapAlt: "Heatmap of the photo's depth",
  heatmapLabel: "Depth of the photo. The arrow keys move a cursor that tells how near a point is.",
  readoutEmpty: "Point at the picture or tap it to see how near it is.",
  readout: "{percent} % near",
  compareLabel: "How much of the photo is shown, in percent",
  spaceLabel: "The photo in three dimensions. Arrow keys turn it, plus and minus zoom, 0 starts again.",
  spaceHint: "Drag to turn, scroll or pinch to zoom. Keys: arrows, +, −, 0.",
  spaceTurned: "Sky, far background and blurred edges are left out. Shapes are plausible, not measured.",
  closer: "Closer",
  farther: "Farther away",
  reset: "Start view",
  refocusLabel: "The refocused photo. The arrow keys move the point that is sharp.",
  refocusHint: "Click what should be sharp, or move the point with the arrow keys.",
  strength: "Blur",
  noWebgl: "This browser has no WebGL, so this view cannot be drawn. Depth, comparison and downloads work.",
  colours: "Colours",
  invert: "Invert",
  far: "Far limit",
  near: "Near limit",
  resetRange: "Whole range",
  farEnd: "far",
  nearEnd: "near",
  downloads: "Download",
  saveHeatmap: "Heatmap",
  saveHeatmapKind: "PNG, as shown",
  savePng16: "16-bit depth",
  savePng16Kind: "PNG, grey",
  saveNpy: "Values",
  saveNpyKind: "NumPy, float16",
  savePly: "Point cloud",
  savePlyKind: "PLY, coloured",
  saveRefocused: "Refocused",
  saveRefocusedKind: "JPEG, full size",
  saving: "Making {name} …",
  saved: "{name} is ready.",
  saveFailed: "The file could not be made. The browser may be short of memory.",
  facts: "{name} · {width} × {height} pixels · {model} · {milliseconds} ms",
  meaningTitle: "What the colours mean",
  meaning:
    "In Inferno, bright is near and dark is far, from the farthest to the nearest point of this one photo; the bar below the picture shows it for every choice. The values are relative inverse depth: they say what is nearer and what is farther, but they are no metres, and two photos do not compare.",
  apiDocs: "API documentation",
  apiHealth: "State of the service",
  forPrograms: "For programs",
  cameraTitle: "Take a photo",
  cameraShoot: "Take it",
  error_undecodable: "Your browser cannot show this picture.",
  error_missing_image: "There was no picture in what was sent. Choose a JPEG, PNG or WebP photo.",
  error_not_an_image: "This is no photo that the service knows. Choose a JPEG, PNG or WebP file.",
  error_broken_image: "This file is damaged or cut off. Save the photo again and try once more.",
  error_unsupported_media_type: "This kind of file is not taken. Convert it to JPEG, PNG or WebP.",
  error_body_too_large: "The file is too large for this service. Choose a smaller one, or save it with less quality.",
  error_too_many_pixels: "The photo has too many pixels for this service. Make it smaller and try again.",
  error_request_timeout: "The upload took too long. Try again, perhaps with a smaller photo.",
  error_queue_full: "The service has too much to do right now. Try again in a moment.",
  error_unavailable: "The service is just starting or ending. Try again in a moment.",
  error_deadline_exceeded: "The photo was not ready in time. Try again in a moment.",
  error_worker_crashed: "The service failed on this photo, twice. Try another one.",
  error_internal_error: "The service failed. Its log tells more.",
  error_unreachable: "The service cannot be reached. Is it still running?",
  error_unauthorized: "This service needs an API key. Type it below.",
  error_wrong_key: "That key was not accepted.",
  error_other: "The service answered something unexpected (status {status}).",
  error_noFile: "What was dropped is no file. Save the picture first and drop the file.",
  error_noSample: "The scene could not be loaded.",
  error_cameraDenied: "The browser does not allow the camera. Allow it in the address bar, or upload a photo.",
  error_cameraMissing: "No camera was found.",
};

const CHINESE = {
  title: "depthsvc：一张照片，看出远近",
  tagline: "一张照片，看出远近",
  switchLanguage: "English",
  switchLanguageLabel: "Switch to English",
  skip: "跳到照片",
  modelAsking: "正在查询所用模型……",
  modelIs: "模型：{model}",
  modelFallback: "模型：{model} · 备用模型，并非 MiDaS",
  modelSilent: "服务没有响应",
  modelFallbackNote: "暂时无法使用 MiDaS_small，由本项目自带的小模型代替，深度会粗糙一些。",
  upload: "📂 上传照片测距",
  camera: "📷 拍照",
  dropHint: "也可以把照片拖到这里，或直接粘贴。支持 JPEG、PNG 和 WebP。",
  privacy: "照片只会发送给本服务，不会传到别处。",
  samples: "或者试试渲染的场景",
  sample_room: "客厅",
  sample_street: "街道",
  sample_path: "小路",
  sample_table: "餐桌",
  preparing: "正在打开照片……",
  uploading: "正在上传……{percent}%",
  estimating: "正在估计深度……",
  busy: "服务正忙，{seconds} 秒后重试……",
  cancel: "取消",
  keyLabel: "本服务的 API 密钥",
  keyHint: "密钥只保存在当前标签页，关闭后即清除。",
  keySubmit: "重试",
  views: "视图",
  viewHeatmap: "深度",
  viewCompare: "对比",
  viewSpace: "3D",
  viewRefocus: "重新对焦",
  photo: "照片",
  photoAlt: "您的照片",
  depth: "深度",
  heatmapAlt: "照片的深度热力图",
  heatmapLabel: "照片的深度。用方向键移动光标，可读出该点有多近。",
  readoutEmpty: "把光标移到图上或点按图片，查看该点有多近。",
  readout: "近度 {percent}%",
  compareLabel: "照片显示的比例（百分比）",
  spaceLabel: "照片的三维视图。方向键旋转，加减号缩放，0 恢复初始视角。",
  spaceHint: "拖动旋转，滚轮或双指缩放。按键：方向键、+、−、0。",
  spaceTurned: "天空、极远的背景和模糊的边缘已略去。形状只是合理推测，并非实测。",
  closer: "拉近",
  farther: "拉远",
  reset: "初始视角",
  refocusLabel: "重新对焦后的照片。用方向键移动清晰点。",
  refocusHint: "点一下想要清晰的地方，或用方向键移动清晰点。",
  strength: "虚化",
  noWebgl: "此浏览器不支持 WebGL，无法绘制这个视图。深度、对比和下载仍可使用。",
  colours: "配色",
  invert: "反色",
  far: "远端界限",
  near: "近端界限",
  resetRange: "全部范围",
  farEnd: "远",
  nearEnd: "近",
  downloads: "下载",
  saveHeatmap: "热力图",
  saveHeatmapKind: "PNG，如图所示",
  savePng16: "16 位深度图",
  savePng16Kind: "PNG，灰度",
  saveNpy: "深度数值",
  saveNpyKind: "NumPy，float16",
  savePly: "点云",
  savePlyKind: "PLY，彩色",
  saveRefocused: "重新对焦的照片",
  saveRefocusedKind: "JPEG，原尺寸",
  saving: "正在生成 {name}……",
  saved: "{name} 已生成。",
  saveFailed: "文件生成失败，可能是浏览器内存不足。",
  facts: "{name} · {width} × {height} 像素 · {model} · {milliseconds} 毫秒",
  meaningTitle: "颜色的含义",
  meaning:
    "默认的 Inferno 配色中，亮处近、暗处远，范围是这一张照片里从最远点到最近点；图下方的色条会随所选配色变化。数值是相对逆深度：只说明谁近谁远，不是米数，两张照片之间也不能互相比较。",
  apiDocs: "API 文档",
  apiHealth: "服务状态",
  forPrograms: "供程序调用",
  cameraTitle: "拍照",
  cameraShoot: "拍摄",
  error_undecodable: "浏览器无法显示这张图片。",
  error_missing_image: "没有收到图片。请选择 JPEG、PNG 或 WebP 照片。",
  error_not_an_image: "这不是可识别的照片。请选择 JPEG、PNG 或 WebP 文件。",
  error_broken_image: "文件已损坏或不完整。请重新保存照片后再试。",
  error_unsupported_media_type: "不支持这种文件。请转换成 JPEG、PNG 或 WebP。",
  error_body_too_large: "文件超过了本服务的大小上限。请换一张小一些的，或降低画质后重新保存。",
  error_too_many_pixels: "照片的像素数超过了本服务的上限。请缩小后再试。",
  error_request_timeout: "上传时间过长。请重试，或换一张小一些的照片。",
  error_queue_full: "服务正忙，请稍后再试。",
  error_unavailable: "服务正在启动或停止，请稍后再试。",
  error_deadline_exceeded: "照片未能及时处理完，请稍后再试。",
  error_worker_crashed: "服务两次都未能处理这张照片，请换一张试试。",
  error_internal_error: "服务出错，详情请看服务日志。",
  error_unreachable: "无法连接服务。它还在运行吗？",
  error_unauthorized: "本服务需要 API 密钥，请在下面输入。",
  error_wrong_key: "密钥无效。",
  error_other: "服务返回了意外的结果（状态码 {status}）。",
  error_noFile: "拖进来的不是文件。请先保存图片，再拖入文件。",
  error_noSample: "无法载入示例场景。",
  error_cameraDenied: "浏览器未允许使用摄像头。请在地址栏中允许，或改为上传照片。",
  error_cameraMissing: "没有找到摄像头。",
};

const LANGUAGES = { en: { tag: "en", words: ENGLISH }, zh: { tag: "zh-CN", words: CHINESE } };
let current = "en";

function preferred() {
  const wanted = [recall("localStorage", KEY), ...navigator.languages].filter(Boolean);
  return wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((language) => language in LANGUAGES) ?? "en";
}

/** Whether there are words for a key. */
export const knows = (key) => key in ENGLISH;

/** The words for a key in the present language, with `{name}` filled in. */
export function words(key, values = {}) {
  return LANGUAGES[current].words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Set an element's text (or an attribute) now and at every change of language. */
export function say(element, key, values = {}, attribute = "words") {
  element.dataset[attribute] = key;
  element.dataset[`${attribute}Values`] = JSON.stringify(values);
  show(element);
}

/** Set an element's text to words that are not the page's own, in whatever language they are. */
export function quote(element, text) {
  delete element.dataset.words;
  element.textContent = text;
}

/** Leave an element without words. */
export const hush = (element) => quote(element, "");

function show(element) {
  const { words: text, wordsValues, label, labelValues, alt } = element.dataset;
  if (text) element.textContent = words(text, JSON.parse(wordsValues ?? "{}"));
  if (label) element.setAttribute("aria-label", words(label, JSON.parse(labelValues ?? "{}")));
  if (alt) element.alt = words(alt);
}

function use(language) {
  current = language;
  document.documentElement.lang = LANGUAGES[language].tag;
  document.title = words("title");
  for (const element of document.querySelectorAll("[data-words], [data-label], [data-alt]")) show(element);
}

/** Speak the browser's language, or the one chosen earlier, and let a button switch. */
export function speak(button) {
  use(preferred());
  button.lang = current === "en" ? LANGUAGES.zh.tag : "en";
  button.addEventListener("click", () => {
    button.lang = LANGUAGES[current].tag;
    use(current === "en" ? "zh" : "en");
    remember("localStorage", KEY, current);
  });
}
