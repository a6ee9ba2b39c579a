// The picture or the scene on a map of OpenLayers, with the masks as layers over it.

import {
  DragBox, Feature, ImageCanvasSource, ImageLayer, Map as OlMap, Projection, ScaleLine, Stroke, Style, TileLayer, VectorLayer,
  VectorSource, View, XYZ, Zoom, defaultInteractions, fromExtent, transformExtent,
} from "./vendor/ol.js";
import { layPattern } from "./scores.js";

const DEGREES = "EPSG:4326";
const METRES = "EPSG:3857";
const PADDING = [16, 16, 16, 16];

const still = matchMedia("(prefers-reduced-motion: reduce)");

// Put a picture that covers `whole` on a canvas that covers `part`; return pixels of the canvas a unit of the map.
function put(context, picture, whole, part) {
  const scale = context.canvas.width / (part[2] - part[0]);
  const [left, top] = [(whole[0] - part[0]) * scale, (part[3] - whole[3]) * scale];
  const [width, height] = [(whole[2] - whole[0]) * scale, (whole[3] - whole[1]) * scale];
  context.imageSmoothingEnabled = width < 2 * picture.width;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left, top, width, height);
  return scale;
}

// A layer whose canvas `draw(context, extent, ratio)` fills for the part in view.
function drawnLayer(draw, projection, zIndex) {
  const canvasFunction = (extent, resolution, ratio, size) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: Math.ceil(size[0]), height: Math.ceil(size[1]) });
    draw(canvas.getContext("2d"), extent, ratio);
    return canvas;
  };
  return new ImageLayer({ source: new ImageCanvasSource({ canvasFunction, projection, ratio: 1.2 }), zIndex });
}

export class Stage {
  // onArea([west, south, east, north]): called when a rectangle was drawn.
  constructor(element, onArea) {
    this.element = element;
    this.base = null;
    this.masks = [];
    this.extent = null;
    const duration = still.matches ? 0 : 200;
    this.map = new OlMap({
      target: element,
      controls: [new Zoom({ duration, zoomInTipLabel: "Zoom in", zoomOutTipLabel: "Zoom out" })],
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false, shiftDragZoom: false, zoomDuration: duration }),
    });
    this.scaleLine = new ScaleLine();
    this.box = new DragBox({ condition: () => this.drawing });
    this.box.on("boxend", () => {
      this.draw(false);
      onArea(this.degrees(this.box.getGeometry().getExtent()));
    });
    this.map.addInteraction(this.box);
    this.drawing = false;
    this.rectangle = new VectorSource();
    const stroke = (color, width, lineDash) => new Style({ stroke: new Stroke({ color, width, lineDash }) });
    const style = [stroke("#ffffff", 4), stroke("#1b222c", 2, [6, 4])];
    this.map.addLayer(new VectorLayer({ source: this.rectangle, style, zIndex: 100 }));
  }

  // Show a picture, as a bitmap or a canvas.
  showPicture(bitmap, label) {
    const extent = [0, 0, bitmap.width, bitmap.height];
    const projection = new Projection({ code: "picture", units: "pixels", extent });
    this.#show(drawnLayer((context, part) => put(context, bitmap, extent, part), projection, 0), extent, projection, label, 1 / 32);
  }

  // Show a scene of the server as tiles; bounds are [west, south, east, north] in degrees.
  showScene(tiles, bounds, label) {
    const extent = transformExtent(bounds, DEGREES, METRES);
    const source = new XYZ({ url: tiles, projection: METRES, maxZoom: 24, transition: still.matches ? 0 : 150 });
    this.#show(new TileLayer({ source, extent, zIndex: 0 }), extent, METRES, label, 0.02);
    this.map.addControl(this.scaleLine);
  }

  #show(layer, extent, projection, label, minResolution) {
    this.clearMasks();
    this.setArea(null);
    if (this.base) this.map.removeLayer(this.base);
    this.map.removeControl(this.scaleLine);
    this.base = layer;
    this.extent = extent;
    delete this.element.dataset.empty;
    this.projection = projection;
    this.map.addLayer(layer);
    const [width, height] = this.map.getSize() ?? [600, 400];
    const whole = Math.max((extent[2] - extent[0]) / width, (extent[3] - extent[1]) / height);
    this.map.setView(new View({ projection, extent, constrainOnlyCenter: true, minResolution: Math.min(minResolution, whole), maxResolution: 4 * whole, enableRotation: false }));
    this.fit();
    this.element.setAttribute("aria-label", `${label}. Arrow keys move, plus and minus zoom.`);
  }

  fit() {
    if (this.extent) this.map.getView().fit(this.extent, { padding: PADDING });
  }

  // Add a mask over the whole picture, or over its bounds in degrees; return the layer.
  addMask(canvases, place, bounds = null) {
    const whole = bounds ? transformExtent(bounds, DEGREES, METRES) : this.extent;
    const layer = drawnLayer((context, part, ratio) => {
      const scale = put(context, canvases.fill, whole, part);
      layPattern(context, place, ratio, part[0] * scale, -part[3] * scale);
      put(context, canvases.edge, whole, part);
    }, this.projection, 1 + place);
    this.masks.push(layer);
    this.map.addLayer(layer);
    return layer;
  }

  // Draw a mask again after its canvases were painted.
  repaint(layer) {
    layer.getSource().changed();
  }

  clearMasks() {
    this.masks.forEach((layer) => this.map.removeLayer(layer));
    this.masks = [];
  }

  // Let the next drag draw a rectangle.
  draw(on) {
    this.drawing = on;
    this.element.classList.toggle("drawing", on);
  }

  degrees(extent) {
    return transformExtent(extent, METRES, DEGREES);
  }

  // Return the part of the scene in view in degrees.
  view() {
    const seen = this.map.getView().calculateExtent(this.map.getSize());
    const [west, south, east, north] = this.extent;
    return this.degrees([Math.max(seen[0], west), Math.max(seen[1], south), Math.min(seen[2], east), Math.min(seen[3], north)]);
  }

  // Show the rectangle of an area in degrees, or none.
  setArea(area) {
    this.rectangle.clear();
    if (area) this.rectangle.addFeature(new Feature(fromExtent(transformExtent(area, DEGREES, METRES))));
  }
}
