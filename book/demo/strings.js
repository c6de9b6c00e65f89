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
  titles: {}, // of the examples; English as it comes
  credit: "Photo: {author}, {licence}; made smaller, and rain added",

  network: "Network",
  prenet: "PReNet, stage by stage",
  spanet: "SPANet, where it looks",

  loading: "Loading the network …",
  backends: {
    webgpu: () => "WebGPU",
    wasm: (threads) => `WebAssembly on ${threads === 1 ? "one thread" : `${threads} threads`}`,
  },
  ready: (backend) => `The network is loaded; ${backend} will compute. Choose a photo.`,
  reading: (name) => `Reading ${name} …`,
  computing: "Computing …",
  stageOf: (stage, stages, ms, backend) =>
    `Stage ${stage} of ${stages} is done (${seconds(ms)} per stage, ${backend}).`,
  windowOf: (window, windows, stage, stages) =>
    `Window ${window} of ${windows}, stage ${stage} of ${stages}.`,
  attending: "Computing; SPANet shows nothing before its end.",
  left: (ms) => ` About ${time(ms)} left.`,
  done: (stages, total, each, backend) =>
    `Done: ${stages} stages in ${time(total)}, ${seconds(each)} each, ${backend}.`,
  attended: (ms) => `Done in ${seconds(ms)}, WebAssembly on one thread.`,
  cancelled: "Stopped.",
  cancel: "Stop",

  figure: "The photo before and after",
  before: "before",
  after: "after",
  picture: "picture",
  taken: "what was taken, × 4",
  looks: "where it looks",
  map: "Map",
  mapNames: (map, maps) =>
    `${map} of ${maps}: ${map === 1 ? "taught with a mask" : "without a teacher"}`,
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
  again: "Compute again",
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

const zh = {
  drop: "把一张照片拖到这里，或粘贴一张",
  choose: "选择照片",
  camera: "拍一张照片",
  privacy: "照片不会离开这台机器：是网络来到照片这里。",
  examples: "也可以用这两张；其中的雨是合成的：",
  example: (title) => `去掉这张照片里的雨：${title}`,
  titles: {
    "a temple in China, in light rain": "中国的一座寺庙，小雨",
    "mountains in Spain, in heavy rain": "西班牙的群山，大雨",
  },
  credit: "照片：{author}，{licence}；已缩小并加上雨",

  network: "网络",
  prenet: "PReNet：一个阶段一个阶段地看",
  spanet: "SPANet：它看哪里",

  loading: "正在载入网络……",
  backends: {
    webgpu: () => "WebGPU",
    wasm: (threads) => `WebAssembly（${threads === 1 ? "单" : `${threads} 个`}线程）`,
  },
  ready: (backend) => `网络已载入；用来计算的是 ${backend}。请选择一张照片。`,
  reading: (name) => `正在读取 ${name}……`,
  computing: "正在计算……",
  stageOf: (stage, stages, ms, backend) =>
    `第 ${stage} 阶段（共 ${stages} 个）已完成（每个阶段 ${seconds(ms)}，${backend}）。`,
  windowOf: (window, windows, stage, stages) =>
    `第 ${window} 块（共 ${windows} 块），第 ${stage} 阶段（共 ${stages} 个）。`,
  attending: "正在计算；SPANet 到最后才有结果。",
  left: (ms) => `大约还需 ${time(ms)}。`,
  done: (stages, total, each, backend) =>
    `完成：${stages} 个阶段用了 ${time(total)}，每个 ${seconds(each)}，${backend}。`,
  attended: (ms) => `完成：用了 ${seconds(ms)}，WebAssembly（单线程）。`,
  cancelled: "已停止。",
  cancel: "停止",

  figure: "去雨前后的照片",
  before: "之前",
  after: "之后",
  picture: "照片",
  taken: "去掉的部分，× 4",
  looks: "它看哪里",
  map: "注意力图",
  mapNames: (map, maps) =>
    `${map} / ${maps}：${map === 1 ? "用掩膜教过" : "没有老师"}`,
  view: "显示",
  swipe: "前后两张照片的分界",
  swipeValue: (percent) => `左边 ${percent}% 的宽度显示原来的照片`,
  stage: "阶段",
  stageNames: (stage, published) => {
    if (stage === 0) return "0：原来的照片";
    if (stage === published) return `${stage}：公布的结果`;
    if (stage > published) return `${stage}：超过了训练时的阶段数`;
    return `${stage} / ${published}`;
  },
  more: (stages) => `继续到第 ${stages} 阶段`,
  again: "重新计算",
  strength: "强度",
  strengthValue: (percent) => `${percent}%`,
  size: "尺寸",
  smaller: (width, height) => `${width} × ${height}：快`,
  whole: (width, height) => `${width} × ${height}：全部像素`,
  download: "下载 PNG",
  caption: (name, width, height) => `${name}，${width} × ${height} 像素`,

  notAPicture: (name) => `浏览器读不了 ${name}：它不是图片。请给 JPEG、PNG 或 WebP。`,
  tooLarge: (name, pixels, most) =>
    `${name} 有 ${megapixels(pixels)} 百万像素，这里最多 ${megapixels(most)} 百万。请先缩小它。`,
  noPicture: "拖进来的东西里没有文件。请拖一个图片文件。",
  noNetwork: (reason) => `网络载入失败（${reason}）。请重新载入页面。`,
  stopped: (reason) => `计算停止了（${reason}）。可以换小一点的尺寸，或换一个浏览器。`,
};

const TEXT = { en, zh };

// The words for a language such as "en" or "zh-CN".
export function words(language) {
  return { ...en, ...TEXT[language.split("-")[0]] };
}
