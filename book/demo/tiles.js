// Where to cut a large picture: the same windows as derain_edu/inference/tiles.py, which tells why;
// and what is cut out of it, and given back.

export const OVERLAP = 48; // pixels kept away from each cut; with them no cut can be seen
// Side of the largest window. Python takes 1024; a phone's browser has less memory.
export const TILE = 640;

// Python rounds 2.5 to 2 and 3.5 to 4.
function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

// One axis: {start, size, from, to} for each piece. The window is start … start + size, and
// from … to is what is kept of it, both in pixels of the picture.
function planAxis(length, tile, overlap) {
  if (length <= tile) return [{ start: 0, size: length, from: 0, to: length }];
  const count = Math.ceil((length - 2 * overlap) / (tile - 2 * overlap));
  const size = Math.ceil((length + (count - 1) * 2 * overlap) / count); // no larger than needed
  const starts = Array.from({ length: count }, (_, k) =>
    roundHalfEven((k * (length - size)) / (count - 1)));
  // Neighbours meet in the middle of what they share.
  const seams = starts.slice(1).map((right, k) => Math.floor((starts[k] + size + right) / 2));
  const borders = [0, ...seams, length];
  return starts.map((start, k) => ({ start, size, from: borders[k], to: borders[k + 1] }));
}

// Windows {row, column} whose cores cover a picture exactly once, row by row. A picture without
// more pixels than a window may have stays whole, whatever its shape, unless a tile is given.
export function planTiles(height, width, tile, overlap = OVERLAP) {
  tile ??= height * width <= TILE * TILE ? Math.max(height, width) : TILE;
  const columns = planAxis(width, tile, overlap);
  return planAxis(height, tile, overlap).flatMap((row) =>
    columns.map((column) => ({ row, column })));
}

// A picture that stays in one piece.
export function wholePicture(height, width) {
  return planTiles(height, width, Math.max(height, width))[0];
}

const REACH = 13; // pixels that one stage sees on each side: 13 convolutions of 3 × 3
const FEWEST_ROWS = 64; // of a strip: what it shares with its neighbours is computed twice

// Strips of rows {start, size, from, to} with which so many threads compute one stage.
export function planStrips(height, threads) {
  const count = Math.max(1, Math.min(threads, Math.floor(height / FEWEST_ROWS)));
  const size = Math.ceil((height - 2 * REACH) / count) + 2 * REACH;
  return planAxis(height, size, REACH);
}

// The colours of a window of a picture RGBA, channels first, 0 to 1.
export function cutOut(pixels, width, { row, column }) {
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
export function core(values, { row, column }, floats) {
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
