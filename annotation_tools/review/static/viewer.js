// The image with its mask on a canvas: zoom at the cursor, pan, exact pixels at high zoom.

const STEP = 1.25;
const SETTLE = 150; // ms without movement before a sharper part is fetched

function load(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture could not be loaded"));
    image.src = url;
  });
}

// The addresses of picture, mask and outline in a review.
export const addressesIn = (review) => (item, box = null) => {
  const rest = `review=${review}${box ? `&box=${box.join(",")}` : ""}`;
  const masks = item.is_empty ? [] : ["false", "true"].map((edge) => `/mask/${item.sample}?edge=${edge}&${rest}`);
  return [`/picture/${item.sample}?${rest}`, ...masks];
};

export class Viewer {
  // addresses(item, box): the URLs of picture, mask and outline, of which the last two may be missing.
  constructor(addresses, canvas, onChange) {
    this.addresses = addresses;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onChange = onChange;
    this.opacity = 0.35;
    this.masked = true;
    this.item = null;
    this.layers = {};
    this.detail = null;
    this.refining = 0;
    this.fitted = true;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.pan(event.movementX, event.movementY);
    });
    canvas.addEventListener("dblclick", () => this.fit());
  }

  // Show an item; keep zoom and position if the image is the same.
  async show(item) {
    const same = this.item && this.item.sample === item.sample;
    this.item = item;
    if (same) return this.draw();
    this.layers = {};
    this.detail = null;
    this.fit();
    const layers = await this.fetch(item);
    if (this.item.sample !== item.sample) return;
    this.layers = layers;
    this.draw();
  }

  // Fetch the image and its mask, or the part [left, top, width, height] of a large image.
  async fetch(item, box = null) {
    const [picture, fill, edge] = await Promise.all(this.addresses(item, box).map(load));
    return { picture, fill, edge };
  }

  // Return the visible part of the image: [left, top, right, bottom] in its pixels.
  visible() {
    const { canvas, item, scale, x, y } = this;
    return [
      Math.max(0, -x / scale), Math.max(0, -y / scale),
      Math.min(item.width, (canvas.clientWidth - x) / scale), Math.min(item.height, (canvas.clientHeight - y) / scale),
    ];
  }

  // For an image larger than its preview, fetch the visible part at the resolution of the screen.
  refine() {
    const { item, layers, detail } = this;
    const [left, top, right, bottom] = this.visible();
    if (!item.preview || !layers.picture || right <= left || bottom <= top) return;
    const wanted = Math.min(1, this.scale * (window.devicePixelRatio || 1));
    if (wanted < (1.1 * layers.picture.naturalWidth) / item.width) return;
    if (detail && detail.sharpness > 0.7 * wanted && detail.box[0] <= left && detail.box[1] <= top
      && detail.box[0] + detail.box[2] >= right && detail.box[1] + detail.box[3] >= bottom) return;
    clearTimeout(this.refining);
    this.refining = setTimeout(async () => {
      const [x1, y1, x2, y2] = this.visible();
      const margin = 0.2 * Math.max(x2 - x1, y2 - y1);
      const from = [Math.max(0, Math.floor(x1 - margin)), Math.max(0, Math.floor(y1 - margin))];
      const to = [Math.min(item.width, Math.ceil(x2 + margin)), Math.min(item.height, Math.ceil(y2 + margin))];
      const box = [...from, to[0] - from[0], to[1] - from[1]];
      if (box[2] < 1 || box[3] < 1) return;
      const sharper = await this.fetch(item, box).catch(() => null);
      if (!sharper || this.item.sample !== item.sample) return;
      this.detail = { box, layers: sharper, sharpness: sharper.picture.naturalWidth / box[2] };
      this.draw();
    }, SETTLE);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    if (this.fitted) this.fit();
    else this.draw();
  }

  fit() {
    if (!this.item) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const margin = 16;
    this.scale = Math.min((width - 2 * margin) / this.item.width, (height - 2 * margin) / this.item.height);
    this.x = (width - this.item.width * this.scale) / 2;
    this.y = (height - this.item.height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(32, Math.max(0.02, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  zoomIn() { this.zoom(STEP); }
  zoomOut() { this.zoom(1 / STEP); }

  wheel(event) {
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX - box.left, event.clientY - box.top);
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.fitted = false;
    this.draw();
  }

  toggle() { this.masked = !this.masked; this.draw(); }
  fade(step) { this.opacity = Math.min(1, Math.max(0, this.opacity + step)); this.draw(); }

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    const { context, canvas, item, layers } = this;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!item) return;
    context.setTransform(ratio * this.scale, 0, 0, ratio * this.scale, ratio * this.x, ratio * this.y);
    context.imageSmoothingEnabled = this.scale * ratio < 3;
    context.imageSmoothingQuality = "high";
    this.put(layers, [0, 0, item.width, item.height]);
    if (this.detail) this.put(this.detail.layers, this.detail.box);
    this.refine();
    this.onChange(this);
  }

  // Draw picture, tint and outline of a part of the image, clipped to the screen.
  put(layers, [left, top, width, height]) {
    const [x1, y1, x2, y2] = this.visible();
    const [from, down] = [Math.max(left, x1), Math.max(top, y1)];
    const [across, along] = [Math.min(left + width, x2) - from, Math.min(top + height, y2) - down];
    if (across <= 0 || along <= 0) return;
    const shown = { picture: 1, fill: this.masked ? this.opacity : 0, edge: this.masked && this.opacity > 0 ? 1 : 0 };
    for (const [name, opacity] of Object.entries(shown)) {
      const layer = layers[name];
      if (!layer || opacity === 0) continue;
      const [sx, sy] = [layer.naturalWidth / width, layer.naturalHeight / height];
      this.context.globalAlpha = opacity;
      this.context.drawImage(
        layer, (from - left) * sx, (down - top) * sy, across * sx, along * sy, from, down, across, along,
      );
    }
    this.context.globalAlpha = 1;
  }
}

// Fetch the pictures of the next image in advance.
export function prefetch(addresses, item) {
  addresses(item).forEach((url) => load(url).catch(() => {}));
}
