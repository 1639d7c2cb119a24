// The page: send one photo to /upload and show it beside its heatmap.

const element = (id) => document.getElementById(id);
const drop = element("drop");
const input = element("photo");
const message = element("message");

let shownAddresses = [];
let current = 0;
let last = null;

function say(text, isError = false) {
  message.textContent = text;
  message.classList.toggle("error", isError);
  message.hidden = !text;
}

// The service's API key, if a person has given one. It is kept until the tab is closed.
function authorization() {
  const key = sessionStorage.getItem("apiKey");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function describeModel() {
  try {
    const health = await (await fetch("health")).json();
    element("model").textContent = health.degraded
      ? `Model: ${health.model}. This is the small fallback model, not MiDaS: its depth is less accurate.`
      : `Model: ${health.model}`;
    element("model").classList.toggle("degraded", health.degraded);
  } catch {
    element("model").textContent = "The service does not answer.";
  }
}

async function problemOf(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The service answered with status ${response.status}.`;
  }
}

function show(photo, heatmap, response) {
  shownAddresses.forEach((address) => URL.revokeObjectURL(address));
  shownAddresses = [photo, heatmap].map((blob) => URL.createObjectURL(blob));
  [element("source").src, element("heatmap").src] = shownAddresses;
  element("download").href = shownAddresses[1];
  element("download").download = `${photo.name.replace(/\.[^.]*$/, "")}-depth.png`;
  const [height, width] = response.headers.get("X-Depth-Shape").split(",");
  const stages = [...response.headers.get("Server-Timing").matchAll(/(\w+);dur=([\d.]+)/g)];
  const timing = stages.map(([, stage, milliseconds]) => `${stage} ${Math.round(milliseconds)} ms`).join(", ");
  element("timing").textContent = `${width} × ${height} pixels by ${response.headers.get("X-Depth-Model")}: ${timing}`;
  element("result").hidden = false;
}

async function send(photo) {
  const mine = ++current;
  last = photo;
  const form = new FormData();
  form.append("image", photo);
  say("Estimating depth …");
  element("result").hidden = true;
  try {
    const response = await fetch("upload?palette=true", { method: "POST", body: form, headers: authorization() });
    element("access").hidden = response.status !== 401;
    if (response.status === 401) {
      const known = sessionStorage.getItem("apiKey");
      say(known ? "That key was not accepted." : "This service needs an API key. Type it below.", true);
      return;
    }
    const failure = response.ok ? null : await problemOf(response);
    const heatmap = response.ok ? await response.blob() : null;
    if (mine !== current) return;
    say(failure === null ? "" : `${photo.name}: ${failure}`, failure !== null);
    if (heatmap) show(photo, heatmap, response);
  } catch {
    if (mine === current) say("The service cannot be reached. Is it still running?", true);
  }
}

input.addEventListener("change", () => {
  if (input.files[0]) send(input.files[0]);
  input.value = "";
});
for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
});
element("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("apiKey", element("key").value.trim());
  if (last) send(last);
});
describeModel();
