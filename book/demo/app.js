// The page "Try it": from a photo to the pictures of all stages, and what one does with them.
// worker.js computes, picture.js knows pixels, strings.js has the words.

import {
  Fault, QUICK_PIXELS, fitted, mixed, openPicture, paste, pixelsOf, show, taken, withoutAlpha,
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
  "download", "more", "right", "size", "size-row",
].map((name) => [name, find(name)]));

let worker;
let computer = null; // what computes, in words, once the network is loaded
let jobs = 0; // pictures that were computed
let runs = 0; // a picture may need several: six stages, then six more
let opening = 0; // counts the files that were chosen: only the last one counts
let source = null; // {name, bitmap}
let job = null; // the picture at the size that is computed, and its stages

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
    offerSizes();
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

function offerSizes() {
  const { width, height } = source.bitmap;
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

const cancel = () => worker.postMessage({ type: "cancel", upTo: runs });

function start() {
  const [width, height] = parts.size.value.split(" ").map(Number);
  const rainy = pixelsOf(source.bitmap, width, height);
  cancel();
  job = {
    id: (jobs += 1), name: source.name, width, height, rainy, stages: [withoutAlpha(rainy)],
    most: Math.max(PUBLISHED, Math.min(MOST_STAGES, Math.floor(KEPT_PIXELS / (width * height)))),
    complete: 0, // stages that are there for the whole picture
    busy: false, follows: true, told: "",
  };
  parts.stage.max = PUBLISHED;
  parts.stage.value = 0;
  parts.strength.value = 100;
  parts.result.hidden = false;
  parts.caption.textContent = text.caption(job.name, width, height);
  const shape = parts.compare.style;
  shape.setProperty("--try-ratio", width / height);
  shape.setProperty("--try-width", `${Math.max(width, 320)}px`);
  parts.compare.classList.toggle("try-tiny", width < 160);
  show(parts.before, job.rainy, width, height);
  draw();
  parts.status.parentElement.scrollIntoView({ block: "start" });
  compute(PUBLISHED);
}

function compute(stages) {
  const began = performance.now();
  Object.assign(job, { run: (runs += 1), busy: true, began, spent: 0 });
  parts.cancel.hidden = parts.bar.hidden = false;
  parts.more.hidden = true;
  parts.bar.value = 0;
  say(computer === null ? text.loading : text.computing);
  const { run, id, rainy, width, height, complete } = job;
  worker.postMessage({ type: "run", run, id, pixels: rainy, width, height, from: complete, stages });
}

function takePart(part) {
  const { stages } = job;
  job.spent += part.ms;
  tellProgress(part);
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
  job.next = job.complete < PUBLISHED ? PUBLISHED : job.most;
  parts.more.hidden = job.complete >= job.next;
  parts.more.textContent = text.more(job.next);
  if (hadFocus) (parts.more.hidden ? parts.download : parts.more).focus();
  say(sentence);
}

function hear({ data }) {
  if (data.type === "ready") {
    computer = text.backends[data.backend](data.threads);
    parts.status.dataset.backend = data.backend;
    if (!job) say(text.ready(computer));
    else if (job.busy) say(text.computing);
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
      finish(text.done(job.complete, total, each, computer));
    } else if (data.type === "error") {
      finish("");
      complain(new Fault("stopped", data.text));
      worker.terminate(); // after a fault such as too little memory the runtime can't go on
      startWorker();
    }
  }
}

// -- showing -------------------------------------------------------------------------------------

const wantsTaken = () => document.querySelector('[name="try-view"]:checked').value === "taken";

function draw() {
  const stage = Number(parts.stage.value);
  const strength = Number(parts.strength.value) / 100;
  const name = text.stageNames(stage, PUBLISHED);
  parts["stage-name"].textContent = name;
  parts.stage.setAttribute("aria-valuetext", name);
  parts["strength-name"].textContent = text.strengthValue(parts.strength.value);
  if (!job) return;
  let shown = mixed(job.rainy, job.stages[stage] ?? job.stages[0], strength);
  if (wantsTaken()) shown = taken(job.rainy, shown);
  parts.right.textContent = wantsTaken() ? text.taken : text.after;
  show(parts.after, shown, job.width, job.height);
  parts.after.setAttribute("aria-label", `${text.figure}: ${text.stage} ${name}`);
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
    link.download = `${job.name.replace(/\.[^.]*$/, "")}_derained.png`;
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
  for (const radio of document.querySelectorAll('[name="try-view"]')) {
    radio.addEventListener("change", drawSoon);
  }
  parts.size.addEventListener("change", start);
  parts.cancel.addEventListener("click", cancel);
  parts.more.addEventListener("click", () => {
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
