// The image with its mask on a canvas: zoom to the cursor, pan, exact pixels when close.

const STEP = 1.25;

function load(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture could not be loaded"));
    image.src = url;
  });
}

export class Viewer {
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onChange = onChange;
    this.opacity = 0.35;
    this.masked = true;
    this.item = null;
    this.layers = {};
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

  // Shows an item; keeps zoom and position where the image stays the same.
  async show(item) {
    const same = this.item && this.item.sample === item.sample;
    this.item = item;
    if (same) return this.draw();
    this.layers = {};
    this.whole = !item.preview;
    this.fit();
    await this.fetch(item, false);
  }

  async fetch(item, whole) {
    const suffix = whole ? "&whole=true" : "";
    const names = item.is_empty ? ["picture"] : ["picture", "fill", "edge"];
    const urls = {
      picture: `/picture/${item.sample}?${suffix.slice(1)}`,
      fill: `/mask/${item.sample}?edge=false${suffix}`,
      edge: `/mask/${item.sample}?edge=true${suffix}`,
    };
    const loaded = await Promise.all(names.map((name) => load(urls[name])));
    if (this.item.sample !== item.sample) return;
    names.forEach((name, i) => { this.layers[name] = loaded[i]; });
    this.draw();
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
    this.put(layers.picture, 1);
    if (this.masked) {
      this.put(layers.fill, this.opacity);
      this.put(layers.edge, this.opacity > 0 ? 1 : 0);
    }
    if (!this.whole && layers.picture && this.scale * ratio * item.width > layers.picture.naturalWidth * 1.1) {
      this.whole = true;
      this.fetch(item, true);
    }
    this.onChange(this);
  }

  put(layer, opacity) {
    if (!layer || opacity === 0) return;
    this.context.globalAlpha = opacity;
    this.context.drawImage(layer, 0, 0, this.item.width, this.item.height);
    this.context.globalAlpha = 1;
  }
}

// Asks for the pictures of the next image early, so that it is there when it is wanted.
export function prefetch(item) {
  load(`/picture/${item.sample}?`).catch(() => {});
  if (!item.is_empty) ["false", "true"].forEach((edge) => load(`/mask/${item.sample}?edge=${edge}`).catch(() => {}));
}
