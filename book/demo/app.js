// The page "Try it": from a photo to the pictures of all stages, and what one does with them.
// worker.js computes PReNet and attention.js SPANet, picture.js knows pixels, strings.js has the
// words.

import {
  Fault, QUICK_PIXELS, SPANET_PIXELS, fitted, greyOf, mixed, openPicture, paste, pixelsOf, show,
  taken, withoutAlpha,
} from "./picture.js";
import { words } from "./strings.js";

const PUBLISHED = 6; // stages of the paper
const MOST_STAGES = 12;
const KEPT_PIXELS = 72e6; // of all stages together, 3 bytes each: 6 stages of 12 megapixels

const text = words(document.documentElement.lang || "en");
const find = (name) => document.getElementById(`try-${name}`);
const parts = Object.fromEntries([
  "drop", "file", "camera", "examples", "fault", "status", "bar", "cancel", "result", "compare",
  "after", "before", "swipe", "caption", "stage", "stage-name", "strength", "strength-name",
  "download", "more", "right", "size", "size-row", "stage-row", "map-row", "map", "map-name",
  "map-view", "strength-row",
].map((name) => [name, find(name)]));

let worker; // PReNet
let attention = null; // SPANet: a thread that is started when somebody asks for it
let computer = null; // what computes PReNet, in words, once the network is loaded
let pictures = 0; // that were computed
let runs = 0; // a picture may need several: six stages, then six more
let opening = 0; // counts the files that were chosen: only the last one counts
let source = null; // {name, bitmap}
let job = null; // the picture at the size that is computed, and its stages
let jobs = {}; // of this photo, by network: who changes the network finds what was computed

// -- words ---------------------------------------------------------------------------------------

function write() {
  for (const element of document.querySelectorAll("#try-it [data-text]")) {
    element.textContent = text[element.dataset.text];
  }
  parts.swipe.setAttribute("aria-label", text.swipe);
  parts.bar.max = 1;
}

function say(sentence) {
  parts.status.textContent = sentence;
}

function complain(fault) {
  const known = fault instanceof Fault;
  parts.fault.textContent = known ? text[fault.text](...fault.values) : String(fault);
}

// -- choosing a photo ----------------------------------------------------------------------------

async function take(file, name = file.name) {
  const mine = (opening += 1);
  parts.fault.textContent = "";
  say(text.reading(name));
  try {
    const opened = await openPicture(file, name);
    if (mine !== opening) return opened.bitmap.close();
    source?.bitmap.close();
    source = opened;
    jobs = {};
    start();
  } catch (fault) {
    if (mine !== opening) return;
    say(job && !job.busy ? job.told : "");
    complain(fault);
  }
}

function takeFirst(files) {
  if (files.length > 0) take(files[0]);
  else complain(new Fault("noPicture"));
}

async function offerExamples() {
  const answer = await fetch(new URL("examples.json", import.meta.url));
  for (const example of await answer.json()) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "try-example";
    const title = text.titles[example.title] ?? example.title;
    button.setAttribute("aria-label", text.example(title));
    const image = document.createElement("img");
    const address = new URL(example.file, import.meta.url);
    Object.assign(image, { src: address.href, alt: "", loading: "lazy" });
    button.append(image);
    button.addEventListener("click", () => {
      const photo = fetch(address).then((answer) => answer.blob());
      photo.then((blob) => take(blob, example.file), complain);
    });
    const credit = document.createElement("small");
    const [before, between, after] = text.credit.split(/\{author\}|\{licence\}/);
    credit.append(before, linked(example.author, example.source), between);
    credit.append(linked(example.licence, example.deed), after);
    const item = document.createElement("li");
    item.append(button, credit);
    parts.examples.append(item);
  }
}

function linked(words, address) {
  if (!/^https:/.test(address)) return words;
  const link = document.createElement("a");
  [link.href, link.textContent] = [address, words];
  return link;
}

const network = () => document.querySelector('[name="try-network"]:checked').value;

function offerSizes() {
  const { width, height } = source.bitmap;
  if (network() === "spanet") {
    const [w, h] = fitted(width, height, SPANET_PIXELS);
    parts.size.replaceChildren(new Option(text.whole(w, h), `${w} ${h}`));
    parts["size-row"].hidden = true;
    return;
  }
  const sizes = [fitted(width, height, QUICK_PIXELS), [width, height]];
  const large = width * height > QUICK_PIXELS;
  parts["size-row"].hidden = !large;
  parts.size.replaceChildren(...sizes.slice(large ? 0 : 1).map(([w, h], k) => {
    const words = large && k === 0 ? text.smaller(w, h) : text.whole(w, h);
    return new Option(words, `${w} ${h}`);
  }));
}

// -- computing -----------------------------------------------------------------------------------

function startWorker() {
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", hear);
  worker.addEventListener("error", (event) =>
    complain(new Fault("noNetwork", event.message ?? "this browser is too old")));
  computer = null;
  // An address that ends in ?backend=wasm or ?backend=webgpu chooses.
  const wanted = new URLSearchParams(location.search).get("backend");
  worker.postMessage({ type: "open", backend: wanted });
}

function cancel() {
  if (!job?.busy) return;
  if (job.network === "prenet") worker.postMessage({ type: "cancel", upTo: runs });
  else {
    endAttention();
    finish(text.cancelled);
  }
}

// Ends what is being computed, because something else is wanted.
function stop() {
  cancel();
  if (job?.busy) finish(text.cancelled);
}

function endAttention() {
  attention?.terminate(); // the runtime never gives way
  attention = null;
}

function chooseNetwork() {
  const chosen = network();
  if (!source || job.network === chosen) return;
  stop();
  if (!jobs[chosen]) return start();
  job = jobs[chosen];
  offerSizes();
  parts.size.value = `${job.width} ${job.height}`;
  showJob();
  offerMore();
  say(job.told);
}

function start() {
  offerSizes();
  compose();
}

// Begins with the photo at the chosen size.
function compose() {
  const [width, height] = parts.size.value.split(" ").map(Number);
  const rainy = pixelsOf(source.bitmap, width, height);
  stop();
  job = {
    network: network(), id: (pictures += 1), name: source.name, width, height, rainy,
    stages: [withoutAlpha(rainy)], maps: null,
    most: Math.max(PUBLISHED, Math.min(MOST_STAGES, Math.floor(KEPT_PIXELS / (width * height)))),
    complete: 0, // stages that are there for the whole picture
    busy: false, follows: true, told: "",
  };
  jobs[job.network] = job;
  parts.strength.value = 100;
  showJob();
  parts.status.parentElement.scrollIntoView({ block: "start" });
  if (job.network === "spanet") attend();
  else compute(PUBLISHED);
}

// Shows the picture of a job, and the controls of its network.
function showJob() {
  const { width, height } = job;
  const staged = job.network === "prenet";
  parts["stage-row"].hidden = !staged;
  parts["map-row"].hidden = parts["map-view"].hidden = staged;
  if (staged === wants("map")) choose(staged ? "picture" : "map");
  parts.stage.max = Math.max(PUBLISHED, job.stages.length - 1);
  parts.stage.value = job.stages.length - 1;
  parts.result.hidden = false;
  parts.caption.textContent = text.caption(job.name, width, height);
  const shape = parts.compare.style;
  shape.setProperty("--try-ratio", width / height);
  shape.setProperty("--try-width", `${Math.max(width, 320)}px`);
  parts.compare.classList.toggle("try-tiny", width < 160);
  show(parts.before, job.rainy, width, height);
  draw();
}

function begin() {
  Object.assign(job, { run: (runs += 1), busy: true, began: performance.now(), spent: 0 });
  parts.cancel.hidden = parts.bar.hidden = false;
  parts.more.hidden = true;
}

function attend() {
  begin();
  parts.bar.removeAttribute("value"); // it moves, and says nothing of how much is left
  say(text.attending);
  if (!attention) {
    attention = new Worker(new URL("attention.js", import.meta.url), { type: "module" });
    attention.addEventListener("message", hear);
    attention.addEventListener("error", (event) =>
      hear({ data: { type: "error", run: job.run, text: event.message ?? "a thread stopped" } }));
  }
  const { run, rainy, width, height } = job;
  attention.postMessage({ run, pixels: rainy, width, height });
}

function compute(stages) {
  begin();
  parts.bar.value = 0;
  say(computer === null ? text.loading : text.computing);
  const { run, id, rainy, width, height, complete } = job;
  worker.postMessage({ type: "run", run, id, pixels: rainy, width, height, from: complete, stages });
}

function takePart(part) {
  const { stages } = job;
  job.spent += part.ms;
  if (part.maps) job.maps = part.maps;
  else tellProgress(part);
  if (!part.bytes) return;
  // A stage that has begun shows the photo where no window has been computed.
  stages[part.stage] ??= stages[0].slice();
  paste(stages[part.stage], job.width, part);
  if (part.window === part.windows) job.complete = part.stage;
  if (job.follows) parts.stage.value = stages.length - 1;
  if (Number(parts.stage.value) === part.stage) drawSoon();
}

function tellProgress({ window, windows, stage, first, stages, ms }) {
  const all = windows * (stages - first);
  const done = (window - 1) * (stages - first) + stage - first;
  parts.bar.value = done / all;
  const step = windows === 1
    ? text.stageOf(stage, stages, ms, computer)
    : text.windowOf(window, windows, stage, stages);
  const left = (job.spent / done) * (all - done);
  say(step + (left > 5000 ? text.left(left) : ""));
}

function finish(sentence) {
  job.busy = false;
  job.told = sentence;
  const hadFocus = document.activeElement === parts.cancel; // it disappears: hand the focus on
  parts.cancel.hidden = parts.bar.hidden = true;
  offerMore();
  if (hadFocus) (parts.more.hidden ? parts.download : parts.more).focus();
  say(sentence);
}

function offerMore() {
  if (job.network === "spanet") {
    parts.more.hidden = job.maps !== null;
    parts.more.textContent = text.again;
    return;
  }
  job.next = job.complete < PUBLISHED ? PUBLISHED : job.most;
  parts.more.hidden = job.complete >= job.next;
  parts.more.textContent = text.more(job.next);
}

function hear({ data }) {
  if (data.type === "ready") {
    computer = text.backends[data.backend](data.threads);
    parts.status.dataset.backend = data.backend;
    if (!job) say(text.ready(computer));
    else if (job.busy && job.network === "prenet") say(text.computing);
  } else if (data.type === "error" && data.while === "open") {
    complain(new Fault("noNetwork", data.text));
    say("");
  } else if (job?.busy && data.run === job.run) {
    if (data.type === "part") {
      takePart(data);
    } else if (data.type === "cancelled") {
      finish(text.cancelled);
    } else if (data.type === "done") {
      const total = performance.now() - job.began;
      const each = job.spent / (data.stages - data.first);
      finish(job.maps ? text.attended(total) : text.done(job.complete, total, each, computer));
    } else if (data.type === "error") {
      finish("");
      complain(new Fault("stopped", data.text));
      // After a fault such as too little memory the runtime can't go on.
      if (job.network === "spanet") return endAttention();
      worker.terminate();
      startWorker();
    }
  }
}

// -- showing -------------------------------------------------------------------------------------

const view = () => document.querySelector('[name="try-view"]:checked').value;
const wants = (name) => view() === name;

function choose(name) {
  document.querySelector(`[name="try-view"][value="${name}"]`).checked = true;
}

function draw() {
  const stage = Number(parts.stage.value);
  const strength = Number(parts.strength.value) / 100;
  const name = text.stageNames(stage, PUBLISHED);
  parts["stage-name"].textContent = name;
  parts.stage.setAttribute("aria-valuetext", name);
  parts["strength-name"].textContent = text.strengthValue(parts.strength.value);
  const map = text.mapNames(Number(parts.map.value), Number(parts.map.max));
  parts["map-name"].textContent = map;
  parts.map.setAttribute("aria-valuetext", map);
  if (!job) return;
  parts["strength-row"].hidden = wants("map");
  const names = { taken: text.taken, map: job.maps ? text.looks : text.after, picture: text.after };
  parts.right.textContent = names[view()];
  show(parts.after, shownNow(stage, strength), job.width, job.height);
  const what = job.network === "spanet" ? `${text.map} ${map}` : `${text.stage} ${name}`;
  parts.after.setAttribute("aria-label", `${text.figure}: ${what}`);
}

function shownNow(stage, strength) {
  // Before its end SPANet has no map to show.
  if (wants("map") && job.maps) return greyOf(job.maps[Number(parts.map.value) - 1]);
  const result = mixed(job.rainy, job.stages[stage] ?? job.stages.at(-1), strength);
  return wants("taken") ? taken(job.rainy, result) : result;
}

function moveBorder() {
  parts.compare.style.setProperty("--try-swipe", `${parts.swipe.value}%`);
  parts.swipe.setAttribute("aria-valuetext", text.swipeValue(parts.swipe.value));
}

let waiting = false;

function drawSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function download() {
  parts.after.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const what = { picture: "derained", taken: "taken", map: `map_${parts.map.value}` }[view()];
    link.download = `${job.name.replace(/\.[^.]*$/, "")}_${what}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }, "image/png");
}

// -- connections ---------------------------------------------------------------------------------

function connect() {
  for (const input of document.querySelectorAll('.try-drop input[type="file"]')) {
    input.addEventListener("change", () => {
      if (input.files.length > 0) take(input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
  }
  for (const name of ["dragenter", "dragover"]) {
    parts.drop.addEventListener(name, (event) => {
      event.preventDefault();
      parts.drop.classList.add("try-over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    parts.drop.addEventListener(name, () => parts.drop.classList.remove("try-over"));
  }
  // A photo that is dropped beside the zone must not replace the page.
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    takeFirst(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) takeFirst(event.clipboardData.files);
  });
  parts.stage.addEventListener("input", () => {
    // Only pictures that are there can be shown.
    const last = job.stages.length - 1;
    if (Number(parts.stage.value) > last) parts.stage.value = last;
    job.follows = false;
    drawSoon();
  });
  parts.swipe.addEventListener("input", moveBorder);
  parts.strength.addEventListener("input", drawSoon);
  parts.map.addEventListener("input", () => {
    choose("map"); // who moves it wants to see it
    drawSoon();
  });
  for (const radio of document.querySelectorAll('[name="try-network"]')) {
    radio.addEventListener("change", chooseNetwork);
  }
  for (const radio of document.querySelectorAll('[name="try-view"]')) {
    radio.addEventListener("change", drawSoon);
  }
  parts.size.addEventListener("change", compose);
  parts.cancel.addEventListener("click", cancel);
  parts.more.addEventListener("click", () => {
    if (job.network === "spanet") {
      attend();
      return parts.cancel.focus();
    }
    parts.stage.max = Math.max(parts.stage.max, job.next);
    job.follows = true;
    compute(job.next);
    parts.cancel.focus(); // the button that had the focus is gone
  });
  parts.download.addEventListener("click", download);
}

write();
connect();
moveBorder();
draw();
// A finger means a phone or a tablet, which has a camera.
parts.camera.hidden = !matchMedia("(pointer: coarse)").matches;
document.querySelector("#try-it .try-notice").hidden = true;
document.querySelector("#try-it .try-body").hidden = false;
say(text.loading);
offerExamples();
startWorker();
