// Every word that the page shows, by language. A translation is one more entry; what it leaves out
// is shown in English.

const seconds = (ms) => (ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);
const time = (ms) => (ms < 90000 ? seconds(ms) : `${Math.round(ms / 60000)} min`);
const megapixels = (pixels) => (pixels / 1e6).toFixed(1);

const en = {
  drop: "Drop a photo here, or paste one",
  choose: "Choose a photo",
  camera: "Take a photo",
  privacy: "Your photo stays on this machine: the network comes to it.",
  examples: "Or take one of these; the rain in them is synthetic:",
  example: (title) => `Take the rain out of: ${title}`,
  credit: "Photo: {author}, {licence}; made smaller, and rain added",

  loading: "Loading the network …",
  backends: { webgpu: "WebGPU", wasm: "WebAssembly on one thread" },
  ready: (backend) => `The network is loaded; ${backend} will compute. Choose a photo.`,
  reading: (name) => `Reading ${name} …`,
  stageOf: (stage, stages, ms, backend) =>
    `Stage ${stage} of ${stages} is done (${seconds(ms)} per stage, ${backend}).`,
  windowOf: (window, windows, stage, stages) =>
    `Window ${window} of ${windows}, stage ${stage} of ${stages}.`,
  left: (ms) => ` About ${time(ms)} left.`,
  done: (stages, total, each, backend) =>
    `Done: ${stages} stages in ${time(total)}, ${seconds(each)} each, ${backend}.`,
  cancelled: "Stopped.",
  cancel: "Stop",

  figure: "The photo before and after",
  before: "before",
  after: "after",
  picture: "picture",
  taken: "what was taken, × 4",
  view: "Show",
  swipe: "Border between before and after",
  swipeValue: (percent) => `${percent} percent of the width show the photo before`,
  stage: "Stage",
  stageNames: (stage, published) => {
    if (stage === 0) return "0: the photo as it is";
    if (stage === published) return `${stage}: the published result`;
    if (stage > published) return `${stage}: more than it was trained for`;
    return `${stage} of ${published}`;
  },
  more: (stages) => `Go on to stage ${stages}`,
  strength: "Strength",
  strengthValue: (percent) => `${percent} %`,
  size: "Size",
  smaller: (width, height) => `${width} × ${height}: quick`,
  whole: (width, height) => `${width} × ${height}: all pixels`,
  download: "Download as PNG",
  caption: (name, width, height) => `${name}, ${width} × ${height} pixels`,

  notAPicture: (name) =>
    `${name} is not a picture that this browser can read. Give a JPEG, PNG or WebP.`,
  tooLarge: (name, pixels, most) =>
    `${name} has ${megapixels(pixels)} megapixels; this page takes up to ${megapixels(most)}. ` +
    "Make it smaller first.",
  noPicture: "There was no file in what you dropped. Drop a picture file.",
  noNetwork: (reason) => `The network can't be loaded (${reason}). Load the page again.`,
  stopped: (reason) =>
    `The computation stopped (${reason}). A smaller size may help, or another browser.`,
};

const TEXT = { en };

// The words for a language such as "en" or "zh-CN".
export function words(language) {
  return { ...en, ...TEXT[language.split("-")[0]] };
}
