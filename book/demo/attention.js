// SPANet, in a thread of its own, so that the page stays awake.
//
// The file spanet.onnx is the whole network: rainy -> (derained, maps). Its sweeps run along whole
// rows and columns, so a picture is neither cut into windows nor shared out among threads, and
// nothing can be shown before the end. Who wants to stop it ends this thread.
//
// The page sends {run, pixels, width, height} and gets one "part" and "done", as from worker.js.

import { openSession } from "./network.js";
import { core, cutOut, wholePicture } from "./tiles.js";

let opened; // the promise of a session

async function attend({ run, pixels, width, height, floats = false }) {
  opened ??= openSession("spanet.onnx", "wasm");
  const { ort, session } = await opened;
  const window = wholePicture(height, width);
  const began = performance.now();
  const rainy = new ort.Tensor("float32", cutOut(pixels, width, window), [1, 3, height, width]);
  const { derained, maps } = await session.run({ rainy });
  const ms = performance.now() - began;
  self.postMessage({
    type: "part", run, window: 1, windows: 1, ms, stage: 1, first: 0, stages: 1,
    ...core(derained.data, window, floats),
    maps: splitMaps(maps.data, width * height), exactMaps: floats ? maps.data : null,
  });
  self.postMessage({ type: "done", run, first: 0, stages: 1 });
}

// Four maps in (0, 1), one after the other, as bytes.
function splitMaps(values, area) {
  const bytes = Uint8ClampedArray.from(values, (value) => 255 * value); // rounds by itself
  return Array.from({ length: values.length / area }, (_, k) =>
    bytes.slice(k * area, (k + 1) * area));
}

self.addEventListener("message", ({ data }) =>
  attend(data).catch((error) =>
    self.postMessage({ type: "error", run: data.run, text: String(error?.message ?? error) })));
