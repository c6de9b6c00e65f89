// The network, in a thread of its own, so that the page stays awake.
//
// The file stage.onnx is one stage: (rainy, x, h, c) -> (x, h, c). The loop over the stages is
// here, which is the idea of the paper: the same weights, applied again and again.
//
// The page sends {type: "run", run, id, pixels, width, height, from, stages} and gets a "part" for
// each stage of each window, then "done". Runs are numbered; {type: "cancel", upTo} stops those up
// to a number before their next stage. A picture with the same id goes on after its stage `from`.
//
// On the processor a stage is shared out: strips of rows, one for each helper and one for this
// thread. A strip sees as many rows of its neighbours as one stage reaches, and after each stage
// everything is put together again: the result is that of the whole window.

import { dispose, openStage } from "./network.js";
import { core, cutOut, planStrips, planTiles } from "./tiles.js";

const MOST_THREADS = 4; // each needs memory for a runtime of its own

let runStage; // computes one stage of {rainy, x, h, c} in this thread
let backend;
let helpers = []; // other threads
let cancelled = 0; // runs up to this number have to stop
let kept = null; // what a picture of one window needs to go on after its last stage

const toPage = (message, transfer = []) => self.postMessage(message, transfer);
// Lets messages in, such as "cancel": the runtime itself never gives way.
const pause = () => new Promise((resolve) => setTimeout(resolve));

// This build for WebGPU needs a browser that can wait inside of WebAssembly. An adapter may also be
// a program that plays a graphics card: slower than WebAssembly, so only who asks for it gets it.
async function hasWebGPU(wanted) {
  if (!self.navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await self.navigator.gpu.requestAdapter().catch(() => null);
  if (adapter === null) return false;
  return wanted === "webgpu" || !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

async function open(wanted, wantedThreads) {
  const began = performance.now();
  let threads = 1;
  if (wanted !== "wasm" && await hasWebGPU(wanted)) {
    try {
      runStage = await openStage("webgpu");
      await checkBackend();
      backend = "webgpu";
    } catch (error) {
      console.info(`WebGPU can't be used (${error}): WebAssembly computes`);
    }
  }
  if (backend !== "webgpu") {
    backend = "wasm";
    threads = wantedThreads ?? Math.min(MOST_THREADS, self.navigator.hardwareConcurrency ?? 1);
    // With the headers for shared memory the runtime has threads itself.
    const shared = self.crossOriginIsolated;
    const [own] = await Promise.all([
      openStage("wasm", shared ? threads : 1), openHelpers(shared ? 0 : threads - 1),
    ]);
    runStage = own;
    if (!shared) threads = helpers.length + 1;
  }
  toPage({
    type: "ready", backend, threads, helpers: helpers.length, ms: performance.now() - began,
  });
}

// A graphics driver can compute wrongly and not say so: compare one small picture with Python's
// result, which was stored when the page was built.
async function checkBackend() {
  const answer = await fetch(new URL("check.json", import.meta.url));
  const { height, width, rainy, derained } = await answer.json();
  const picture = Float32Array.from(rainy);
  const state = { rainy: picture, x: picture, ...emptyMemory(height, width) };
  const { x, h, c } = await runStage(state, height, width);
  const apart = x.reduce((worst, value, k) => Math.max(worst, Math.abs(value - derained[k])), 0);
  dispose(h, c);
  if (!(apart < 1e-3)) throw new Error(`it computes ${apart} apart from Python`);
}

function emptyMemory(height, width) {
  const values = 32 * height * width; // channels of this network
  return { h: new Float32Array(values), c: new Float32Array(values) };
}

// -- threads -------------------------------------------------------------------------------------

class Helper {
  constructor() {
    this.worker = new Worker(new URL("helper.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("error", (event) =>
      this.end({ error: event.message ?? "a thread stopped" }));
    this.worker.addEventListener("message", ({ data }) => this.end(data));
  }

  ask(message, transfer = []) {
    return new Promise((resolve, reject) => {
      this.end = (answer) => (answer.error ? reject(new Error(answer.error)) : resolve(answer));
      this.worker.postMessage(message, transfer);
    });
  }
}

// A helper that can't start, for want of memory perhaps, is left out.
async function openHelpers(count) {
  const all = Array.from({ length: count }, () => new Helper());
  const opened = await Promise.allSettled(all.map((helper) => helper.ask({ type: "open" })));
  helpers = all.filter((helper, k) => {
    if (opened[k].status === "rejected") helper.worker.terminate();
    return opened[k].status === "fulfilled";
  });
}

// One stage of a window, on all threads.
async function runShared(state, height, width) {
  const strips = planStrips(height, helpers.length + 1);
  if (strips.length === 1) return runStage(state, height, width);
  const computed = strips.map(({ start, size }, k) => {
    const part = {};
    for (const [name, values] of Object.entries(state)) {
      part[name] = new Float32Array(values.length / height * size);
      copyRows(values, height, start, part[name], size, 0, size, width);
    }
    if (k === strips.length - 1) return runStage(part, size, width); // after the others have theirs
    const buffers = Object.values(part).map((values) => values.buffer);
    return helpers[k].ask({ type: "stage", state: part, height: size, width }, buffers);
  });
  const next = {};
  for (const [k, part] of (await Promise.all(computed)).entries()) {
    const { start, size, from, to } = strips[k];
    for (const [name, values] of Object.entries(part)) {
      next[name] ??= new Float32Array(values.length / size * height);
      copyRows(values, size, from - start, next[name], height, from, to - from, width);
    }
  }
  return next;
}

// Copies rows of all channels from one array to another, which may have another height.
function copyRows(source, height, from, target, targetHeight, to, rows, width) {
  const channels = source.length / (height * width);
  for (let channel = 0; channel < channels; channel += 1) {
    const first = (channel * height + from) * width;
    const part = source.subarray(first, first + rows * width);
    target.set(part, (channel * targetHeight + to) * width);
  }
}

// -- one run -------------------------------------------------------------------------------------

async function run(job) {
  const { run: number, id, pixels, width, height, from = 0, stages } = job;
  const { tile, overlap, floats = false } = job;
  const windows = planTiles(height, width, tile, overlap);
  const goesOn = windows.length === 1 && kept !== null && kept.id === id && kept.stage === from;
  const first = goesOn ? from : 0;
  if (!goesOn) forget();
  for (const [k, window] of windows.entries()) {
    let state = kept;
    kept = null;
    if (!state) {
      const rainy = cutOut(pixels, width, window);
      const memory = emptyMemory(window.row.size, window.column.size);
      state = { id, stage: 0, rainy, x: rainy, ...memory };
    }
    while (state.stage < stages) {
      await pause();
      if (number <= cancelled) {
        if (windows.length === 1) kept = state;
        else dispose(state.h, state.c);
        return toPage({ type: "cancelled", run: number });
      }
      const began = performance.now();
      const { rainy, x, h, c } = state;
      const next = await runShared({ rainy, x, h, c }, window.row.size, window.column.size);
      const ms = performance.now() - began;
      dispose(h, c);
      state = { id, stage: state.stage + 1, rainy, ...next };
      // Where the page has the picture of a stage already, it only hears how far the work is.
      const part = state.stage > from ? core(state.x, window, floats) : {};
      toPage({
        type: "part", run: number, window: k + 1, windows: windows.length, ms,
        stage: state.stage, first, stages, ...part,
      }, [part.bytes?.buffer, part.exact?.buffer].filter(Boolean));
    }
    if (windows.length === 1) kept = state;
    else dispose(state.h, state.c);
  }
  toPage({ type: "done", run: number, first, stages });
}

function forget() {
  if (kept) dispose(kept.h, kept.c);
  kept = null;
}

let queue = Promise.resolve(); // one thing after the other

self.addEventListener("message", ({ data }) => {
  if (data.type === "cancel") {
    cancelled = data.upTo;
    return;
  }
  const task = data.type === "open" ? () => open(data.backend, data.threads) : () => run(data);
  queue = queue.then(task).catch((error) => {
    const reason = String(error?.message ?? error);
    toPage({ type: "error", run: data.run, while: data.type, text: reason });
  });
});
