// From a file to pixels, and from pixels to what is shown.

export const MOST_PIXELS = 12e6;
export const QUICK_PIXELS = 1e6; // a larger photo is made smaller at first, so that nobody waits
// SPANet looks along whole rows and columns, so it needs the picture in one piece: 1.5 kB a pixel.
export const SPANET_PIXELS = 0.25e6;

// A fault that the page shows: the name of a text in strings.js, and what goes into it.
export class Fault extends Error {
  constructor(text, ...values) {
    super(text);
    this.text = text;
    this.values = values;
  }
}

// The size of a picture, upright; browsers read only the head of the file for this.
function sizeOf(file, name) {
  const image = new Image();
  const address = URL.createObjectURL(file);
  return new Promise((resolve, reject) => {
    image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => reject(new Fault("notAPicture", name));
    image.src = address;
  }).finally(() => URL.revokeObjectURL(address));
}

// Opens a file as {name, bitmap}, upright as the camera was held.
export async function openPicture(file, name) {
  const [width, height] = await sizeOf(file, name);
  if (width * height === 0) throw new Fault("notAPicture", name); // a drawing without a size
  if (width * height > MOST_PIXELS) {
    throw new Fault("tooLarge", name, width * height, MOST_PIXELS);
  }
  try {
    return { name, bitmap: await createImageBitmap(file, { imageOrientation: "from-image" }) };
  } catch {
    throw new Fault("notAPicture", name);
  }
}

// The size with at most so many pixels, and the same shape.
export function fitted(width, height, most) {
  const scale = Math.min(1, Math.sqrt(most / (width * height)));
  return [width, height].map((side) => Math.max(1, Math.round(scale * side)));
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

// The pixels of a bitmap at a size, RGBA in bytes.
export function pixelsOf(bitmap, width, height) {
  let source = bitmap;
  let [w, h] = [bitmap.width, bitmap.height];
  // Halves, as long as they are too large: one large step would skip pixels.
  while (w > 2 * width && h > 2 * height) {
    [w, h] = [Math.ceil(w / 2), Math.ceil(h / 2)];
    source = drawn(source, w, h);
  }
  const canvas = drawn(source, width, height);
  return canvas.getContext("2d").getImageData(0, 0, width, height).data;
}

function drawn(source, width, height) {
  const canvas = newCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

// The colours without alpha: what every stage starts from.
export function withoutAlpha(pixels) {
  const colours = new Uint8ClampedArray((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    colours[to] = pixels[from];
    colours[to + 1] = pixels[from + 1];
    colours[to + 2] = pixels[from + 2];
  }
  return colours;
}

// Puts the core of a window into the picture of a stage.
export function paste(colours, width, part) {
  for (let y = 0; y < part.height; y += 1) {
    const line = part.bytes.subarray(3 * y * part.width, 3 * (y + 1) * part.width);
    colours.set(line, 3 * ((part.top + y) * width + part.left));
  }
}

// rainy + strength · (derained − rainy), with the alpha of the photo.
export function mixed(rainy, derained, strength) {
  const result = new Uint8ClampedArray(rainy.length); // clamps and rounds by itself
  for (let k = 0, from = 0; k < rainy.length; k += 4, from += 3) {
    for (let colour = 0; colour < 3; colour += 1) {
      const before = rainy[k + colour];
      result[k + colour] = before + strength * (derained[from + colour] - before);
    }
    result[k + 3] = rainy[k + 3];
  }
  return result;
}

// 4 · (rainy − result): the rain, bright on black.
export function taken(rainy, result) {
  const difference = new Uint8ClampedArray(rainy.length);
  for (let k = 0; k < rainy.length; k += 1) {
    difference[k] = k % 4 === 3 ? 255 : 4 * (rainy[k] - result[k]);
  }
  return difference;
}

// A map in bytes as a picture in grey: white is 1.
export function greyOf(map) {
  const pixels = new Uint8ClampedArray(4 * map.length);
  for (let k = 0, to = 0; k < map.length; k += 1, to += 4) {
    pixels[to] = pixels[to + 1] = pixels[to + 2] = map[k];
    pixels[to + 3] = 255;
  }
  return pixels;
}

export function show(canvas, pixels, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    [canvas.width, canvas.height] = [width, height];
  }
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}
