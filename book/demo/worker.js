// The network, in a thread of its own, so that the page stays awake.
//
// The file stage.onnx is one stage: (rainy, x, h, c) -> (x, h, c). The loop over the stages is
// here, which is the idea of the paper: the same weights, applied again and again.
//
// The page sends {type: "run", run, id, pixels, width, height, from, stages} and gets a "part" for
// each stage of each window, then "done". Runs are numbered; {type: "cancel", upTo} stops those up
// to a number before their next stage. A picture with the same id goes on after its stage `from`.

import { planTiles } from "./tiles.js";

const MODEL = new URL("stage.onnx", import.meta.url);
const RUNTIMES = {
  webgpu: ["ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm"],
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
};

let ort; // the runtime's module
let session;
let backend;
let cancelled = 0; // runs up to this number have to stop
let kept = null; // what a picture of one window needs to go on after its last stage

const toPage = (message, transfer = []) => self.postMessage(message, transfer);
// Lets messages in, such as "cancel": the runtime itself never gives way.
const pause = () => new Promise((resolve) => setTimeout(resolve));

async function openWith(name) {
  const [module, wasm] = RUNTIMES[name];
  ort = await import(new URL(`ort/${module}`, import.meta.url));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL(`ort/${wasm}`, import.meta.url).href };
  const options = { executionProviders: [name], logSeverityLevel: 3 };
  if (name === "webgpu") {
    // The memory stays on the GPU; the picture comes back to be shown.
    options.preferredOutputLocation = {
      next_x: "cpu", next_h: "gpu-buffer", next_c: "gpu-buffer",
    };
  }
  session = await ort.InferenceSession.create(MODEL.href, options);
  backend = name;
}

// This build for WebGPU needs a browser that can wait inside of WebAssembly. An adapter may also be
// a program that plays a graphics card: slower than WebAssembly, so only who asks for it gets it.
async function hasWebGPU(wanted) {
  if (!self.navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await self.navigator.gpu.requestAdapter().catch(() => null);
  if (adapter === null) return false;
  return wanted === "webgpu" || !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

async function open(wanted) {
  const began = performance.now();
  if (wanted !== "wasm" && await hasWebGPU(wanted)) {
    try {
      await openWith("webgpu");
      await checkBackend();
    } catch (error) {
      console.info(`WebGPU can't be used (${error}): WebAssembly computes`);
      session = undefined;
    }
  }
  if (!session) await openWith("wasm");
  toPage({ type: "ready", backend, ms: performance.now() - began });
}

// A graphics driver can compute wrongly and not say so: compare one small picture with Python's
// result, which was stored when the page was built.
async function checkBackend() {
  const answer = await fetch(new URL("check.json", import.meta.url));
  const { height, width, rainy, derained } = await answer.json();
  const picture = Float32Array.from(rainy);
  const memory = emptyMemory(height, width);
  const x = tensor(picture, 3, height, width);
  const result = await runStage({ rainy: x, x, ...memory });
  const apart = result.next_x.data.reduce(
    (worst, value, k) => Math.max(worst, Math.abs(value - derained[k])), 0);
  dispose(result);
  if (!(apart < 1e-3)) throw new Error(`it computes ${apart} apart from Python`);
}

const tensor = (data, channels, height, width) =>
  new ort.Tensor("float32", data, [1, channels, height, width]);

function emptyMemory(height, width) {
  const channels = 32; // of this network
  const zeros = () => tensor(new Float32Array(channels * height * width), channels, height, width);
  return { h: zeros(), c: zeros() };
}

const runStage = (feeds) => session.run(feeds);

// Tensors on a GPU are freed by hand.
function dispose(...tensors) {
  for (const one of tensors) {
    if (one?.location === "gpu-buffer") one.dispose();
    else if (one && !one.location) dispose(...Object.values(one));
  }
}

// A window of the picture's colours, channels first, 0 to 1.
function cutOut(pixels, width, { row, column }) {
  const area = row.size * column.size;
  const values = new Float32Array(3 * area);
  for (let y = 0, k = 0; y < row.size; y += 1) {
    let from = 4 * ((row.start + y) * width + column.start);
    for (let x = 0; x < column.size; x += 1, k += 1, from += 4) {
      values[k] = pixels[from] / 255;
      values[area + k] = pixels[from + 1] / 255;
      values[2 * area + k] = pixels[from + 2] / 255;
    }
  }
  return values;
}

// The core of a window as bytes RGB, RGB, …, clamped and rounded; with `floats` also as they are.
function core(values, { row, column }, floats) {
  const height = row.to - row.from;
  const width = column.to - column.from;
  const area = row.size * column.size;
  const bytes = new Uint8ClampedArray(3 * height * width); // clamps and rounds by itself
  const exact = floats ? new Float32Array(3 * height * width) : null;
  for (let y = 0, to = 0; y < height; y += 1) {
    let k = (row.from - row.start + y) * column.size + column.from - column.start;
    for (let x = 0; x < width; x += 1, k += 1, to += 3) {
      for (let colour = 0; colour < 3; colour += 1) {
        const value = values[colour * area + k];
        bytes[to + colour] = 255 * value;
        if (exact) exact[to + colour] = value;
      }
    }
  }
  return { bytes, exact, top: row.from, left: column.from, height, width };
}

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
      const rainy = tensor(cutOut(pixels, width, window), 3, window.row.size, window.column.size);
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
      const result = await runStage({ rainy, x, h, c });
      const ms = performance.now() - began;
      dispose(h, c);
      state = {
        id, stage: state.stage + 1, rainy, x: result.next_x, h: result.next_h, c: result.next_c,
      };
      // Where the page has the picture of a stage already, it only hears how far the work is.
      const part = state.stage > from ? core(state.x.data, window, floats) : {};
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
  const task = data.type === "open" ? () => open(data.backend) : () => run(data);
  queue = queue.then(task).catch((error) => {
    const reason = String(error?.message ?? error);
    toPage({ type: "error", run: data.run, while: data.type, text: reason });
  });
});
