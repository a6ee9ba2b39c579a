// Probabilities of a picture's pixels as the server's PNG holds them, and what a threshold makes of them.

const COLOURS = ["#e6550d", "#56b4e9", "#f0e442", "#d873b0", "#12b886", "#b197fc", "#ffffff", "#ff8787"];
const FILL = 140; // of 255: the picture stays readable under a mask
const MOST = 8_000_000; // pixels that a threshold is applied to live; larger pictures are sampled
const TILE = 10; // side of a pattern in pixels of the screen
const PATTERNS = [
  () => {},
  (path) => { path.moveTo(-2, 12); path.lineTo(12, -2); path.moveTo(-2, 2); path.lineTo(2, -2); path.moveTo(8, 12); path.lineTo(12, 8); },
  (path) => { path.rect(2, 2, 1.5, 1.5); path.rect(7, 7, 1.5, 1.5); },
  (path) => { path.moveTo(0, 5); path.lineTo(10, 5); },
  (path) => { path.moveTo(-2, -2); path.lineTo(12, 12); path.moveTo(8, -2); path.lineTo(12, 2); path.moveTo(-2, 8); path.lineTo(2, 12); },
  (path) => { path.moveTo(5, 0); path.lineTo(5, 10); },
  (path) => { path.moveTo(5, 0); path.lineTo(5, 10); path.moveTo(0, 5); path.lineTo(10, 5); },
  (path) => { path.arc(5, 5, 2.5, 0, 2 * Math.PI); },
];

export const colourOf = (place) => COLOURS[place % COLOURS.length];

const canvasOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

const patternTiles = new Map();

// A tile of the pattern that tells this answer from the others without colour.
function patternTile(place, ratio) {
  const key = `${place % PATTERNS.length} ${ratio}`;
  if (!patternTiles.has(key)) {
    const tile = canvasOf(Math.round(TILE * ratio), Math.round(TILE * ratio));
    const context = tile.getContext("2d");
    context.scale(tile.width / TILE, tile.height / TILE);
    context.strokeStyle = "rgb(0 0 0 / 65%)";
    context.lineWidth = 1.4;
    context.beginPath();
    PATTERNS[place % PATTERNS.length](context);
    context.stroke();
    patternTiles.set(key, tile);
  }
  return patternTiles.get(key);
}

// Lay an answer's pattern over what is drawn on a canvas; x and y keep it in place while the map moves.
export function layPattern(context, place, ratio, x = 0, y = 0) {
  const tile = patternTile(place, ratio);
  context.save();
  context.globalCompositeOperation = "source-atop";
  context.fillStyle = context.createPattern(tile, "repeat");
  const [left, top] = [-(((x % tile.width) + tile.width) % tile.width), -(((y % tile.height) + tile.height) % tile.height)];
  context.translate(left, top);
  context.fillRect(0, 0, context.canvas.width - left, context.canvas.height - top);
  context.restore();
}

// Draw the key of an answer: its colour with its pattern.
export function drawKey(canvas, place) {
  const context = canvas.getContext("2d");
  context.fillStyle = colourOf(place);
  context.fillRect(0, 0, canvas.width, canvas.height);
  layPattern(context, place, 2); // twice the size that the style gives it
}

export class Scores {
  // values: probability times 255, a byte a pixel; seen: 0 where there is no data.
  constructor(width, height, values, seen, sampled = false) {
    Object.assign(this, { width, height, values, seen, sampled });
    this.seenPixels = seen.reduce((sum, one) => sum + one, 0);
  }

  static async read(blob) {
    const whole = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const shrink = Math.min(1, Math.sqrt(MOST / (whole.width * whole.height)));
    const resized = { resizeWidth: Math.round(whole.width * shrink), resizeHeight: Math.round(whole.height * shrink), resizeQuality: "pixelated" };
    const bitmap = shrink < 1 ? await createImageBitmap(whole, resized) : whole;
    const context = canvasOf(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const [values, seen] = [new Uint8Array(data.length / 4), new Uint8Array(data.length / 4)];
    for (let pixel = 0; pixel < values.length; pixel += 1) {
      values[pixel] = data[4 * pixel];
      seen[pixel] = data[4 * pixel + 3] > 0 ? 1 : 0;
    }
    return new Scores(bitmap.width, bitmap.height, values, seen, shrink < 1);
  }

  // Return one byte a pixel: 1 where the probability is above the threshold.
  marked(threshold) {
    const { values, seen } = this;
    const marked = new Uint8Array(values.length);
    for (let pixel = 0; pixel < values.length; pixel += 1) marked[pixel] = seen[pixel] && values[pixel] > 255 * threshold ? 1 : 0;
    return marked;
  }

  // Count what a threshold marks: pixels, their share of those with data, their mean probability, 4-connected regions.
  count(threshold) {
    const marked = this.marked(threshold);
    let [pixels, sum] = [0, 0];
    for (let pixel = 0; pixel < marked.length; pixel += 1) {
      if (marked[pixel]) { pixels += 1; sum += this.values[pixel]; }
    }
    const share = this.seenPixels ? pixels / this.seenPixels : 0;
    return { pixels, share, mean: pixels ? sum / pixels / 255 : null, regions: regionsOf(marked, this.width) };
  }

  // Paint fill and outline of the marked pixels on two canvases of this size.
  paint(threshold, place, onto) {
    const { width, height } = this;
    const marked = this.marked(threshold);
    const canvases = onto ?? { fill: canvasOf(width, height), edge: canvasOf(width, height) };
    const colour = parseInt(colourOf(place).slice(1), 16);
    const bytes = ((colour & 255) << 16) | (colour & 0xff00) | (colour >> 16); // red comes first in memory
    const [fill, edge] = [new ImageData(width, height), new ImageData(width, height)];
    const [fills, edges] = [new Uint32Array(fill.data.buffer), new Uint32Array(edge.data.buffer)];
    for (let row = 0, pixel = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1, pixel += 1) {
        if (!marked[pixel]) continue;
        fills[pixel] = bytes | (FILL << 24);
        const inner = column > 0 && column < width - 1 && row > 0 && row < height - 1
          && marked[pixel - 1] && marked[pixel + 1] && marked[pixel - width] && marked[pixel + width];
        if (!inner) edges[pixel] = bytes | (255 << 24);
      }
    }
    canvases.fill.getContext("2d").putImageData(fill, 0, 0);
    canvases.edge.getContext("2d").putImageData(edge, 0, 0);
    return canvases;
  }
}

// Count the regions of marked pixels that share an edge, by runs of rows joined to those above.
export function regionsOf(marked, width) {
  const parents = [];
  const root = (run) => {
    while (parents[run] !== run) run = parents[run] = parents[parents[run]];
    return run;
  };
  let above = [];
  let regions = 0;
  for (let start = 0; start < marked.length; start += width) {
    const runs = [];
    for (let column = 0, next = 0; column < width; column += 1) {
      if (!marked[start + column]) continue;
      const first = column;
      while (column + 1 < width && marked[start + column + 1]) column += 1;
      const run = parents.push(parents.length) - 1;
      regions += 1;
      while (next < above.length && above[next].last < first) next += 1;
      for (let other = next; other < above.length && above[other].first <= column; other += 1) {
        const [one, two] = [root(run), root(above[other].run)];
        if (one !== two) { parents[one] = two; regions -= 1; }
      }
      runs.push({ first, last: column, run });
    }
    above = runs;
  }
  return regions;
}
