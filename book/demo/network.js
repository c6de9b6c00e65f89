// A network in ONNX Runtime Web.

const RUNTIMES = {
  webgpu: ["ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm"],
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
};

// Opens a file that lies beside this one: the runtime, and a session of it.
export async function openSession(file, backend, threads = 1, options = {}) {
  const [module, wasm] = RUNTIMES[backend];
  const ort = await import(new URL(`ort/${module}`, import.meta.url));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { wasm: new URL(`ort/${wasm}`, import.meta.url).href };
  const session = await ort.InferenceSession.create(
    new URL(file, import.meta.url).href,
    { executionProviders: [backend], logSeverityLevel: 3, ...options },
  );
  return { ort, session };
}

// Opens one stage of PReNet, and returns a function that computes (rainy, x, h, c) -> (x, h, c), all
// of them Float32Array with the channels first. On a graphics card h and c stay there: see dispose.
export async function openStage(backend, threads = 1) {
  const options = {};
  if (backend === "webgpu") {
    // The memory stays on the GPU; the picture comes back to be shown.
    options.preferredOutputLocation = {
      next_x: "cpu", next_h: "gpu-buffer", next_c: "gpu-buffer",
    };
  }
  const { ort, session } = await openSession("stage.onnx", backend, threads, options);
  const tensor = (data, height, width) =>
    new ort.Tensor("float32", data, [1, data.length / (height * width), height, width]);
  const wrapped = (value, height, width) =>
    value instanceof Float32Array ? tensor(value, height, width) : value;
  const unwrapped = (value) => (value.location === "gpu-buffer" ? value : value.data);

  return async ({ rainy, x, h, c }, height, width) => {
    const result = await session.run({
      rainy: wrapped(rainy, height, width), x: wrapped(x, height, width),
      h: wrapped(h, height, width), c: wrapped(c, height, width),
    });
    const { next_x, next_h, next_c } = result;
    return { x: unwrapped(next_x), h: unwrapped(next_h), c: unwrapped(next_c) };
  };
}

// What lies on a graphics card is freed by hand.
export function dispose(...values) {
  for (const value of values) {
    if (value?.location === "gpu-buffer") value.dispose();
  }
}
