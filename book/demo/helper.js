// Computes stages of strips for worker.js: a thread with a network of its own. Threads that share
// their memory would need headers that a plain web server does not send.

import { openStage } from "./network.js";

let runStage;

self.addEventListener("message", async ({ data }) => {
  try {
    if (data.type === "open") {
      runStage = await openStage("wasm");
      self.postMessage({});
    } else {
      const next = await runStage(data.state, data.height, data.width);
      self.postMessage(next, Object.values(next).map((values) => values.buffer));
    }
  } catch (error) {
    self.postMessage({ error: String(error?.message ?? error) });
  }
});
