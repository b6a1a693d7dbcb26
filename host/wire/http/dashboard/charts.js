// Pictures of the last minutes, as SVG.

import { LABELS, LAYERS, number } from "./figures.js";
import { h, svg } from "./dom.js";

const HEIGHT = 200;
const LEFT = 46;
const FOOT = 18;

/** A round number at or above this one, for the top of a scale. */
function round_up(n) {
  if (n <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 5, 10].map((k) => k * step).find((top) => top >= n);
}

/** A small line without a scale; gaps where there is nothing. */
export function sparkline(values, label) {
  const known = values.filter((value) => value !== null);
  const top = Math.max(...known, 0) || 1;
  const step = 100 / Math.max(values.length - 1, 1);
  const points = values
    .map((value, i) => (value === null ? null : [i * step, 28 - (value / top) * 26]))
    .filter(Boolean)
    .map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`);
  const picture = svg("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": label });
  if (points.length > 1) {
    const [first] = points[0].split(",");
    const [last] = points.at(-1).split(",");
    picture.append(
      svg("polygon", { class: "spark-area", points: `${first},30 ${points.join(" ")} ${last},30` }),
      svg("polyline", { class: "spark", points: points.join(" ") }),
    );
  }
  return picture;
}

/** Layers on top of one another over time, `width` pixels wide: `readings` holds figures and how many seconds ago they are. */
export function traffic(readings, span_s, width) {
  const totals = readings.map(({ figures }) => LAYERS.reduce((all, layer) => all + figures.layers[layer], 0));
  const top = round_up(Math.max(...totals, 1));
  const x = (ago_s) => LEFT + (width - LEFT) * (1 - ago_s / span_s);
  const y = (value) => HEIGHT - FOOT - (value / top) * (HEIGHT - FOOT - 8);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": `Answers per second in the last ${span_s} seconds, up to ${number(Math.max(...totals, 0))}`,
  });
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    picture.append(svg("line", { class: "grid", x1: LEFT, x2: width, y1: at, y2: at }));
    picture.append(svg("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, number(top * share)));
  }
  const below = readings.map(() => 0);
  for (const layer of LAYERS) {
    const floor = readings.map(({ ago_s }, i) => [x(ago_s), y(below[i])]);
    readings.forEach(({ figures }, i) => (below[i] += figures.layers[layer]));
    const roof = readings.map(({ ago_s }, i) => [x(ago_s), y(below[i])]);
    const points = [...roof, ...floor.reverse()].map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
    picture.append(svg("polygon", { class: `s-${layer}`, points }));
  }
  for (const ago_s of [span_s, span_s / 2, 0]) {
    const anchor = ago_s === 0 ? "end" : ago_s === span_s ? "start" : "middle";
    const text = ago_s === 0 ? "now" : `${ago_s} s ago`;
    picture.append(svg("text", { x: x(ago_s), y: HEIGHT - 3, "text-anchor": anchor }, text));
  }
  return picture;
}

export function legend() {
  return LAYERS.map((layer) => h("span", {}, h("i", { class: `s-${layer}` }), LABELS[layer]));
}

/** Shares of a whole in one bar. */
export function bar(layers) {
  const whole = LAYERS.reduce((all, layer) => all + layers[layer], 0);
  const picture = h("div", { class: "bar", role: "img", "aria-label": words(layers, whole) });
  for (const layer of LAYERS.filter((layer) => layers[layer] > 0)) {
    const part = h("i", { class: `s-${layer}`, title: `${LABELS[layer]}: ${number(layers[layer])}/s` });
    part.style.width = `${(layers[layer] / whole) * 100}%`;
    picture.append(part);
  }
  return picture;
}

function words(layers, whole) {
  if (whole === 0) return "nothing in the last seconds";
  const present = LAYERS.filter((layer) => layers[layer] > 0);
  return present.map((layer) => `${LABELS[layer]} ${((layers[layer] / whole) * 100).toFixed(0)} %`).join(", ");
}
