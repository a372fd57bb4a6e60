// The entry curve: entries in groups of minutes as bars, with the peak, the axes and the exits as a line.

import { svg } from "./dom.js";
import { number, t, time } from "./text.js";

const MINUTE_MS = 60000;
const SHOWN_MINUTES = 180;

/**
 * When the group that is under way ends. Groups begin at round times.
 * @param {import("./api.js").Activity} activity
 * @param {number} width in minutes
 */
function endOfGroups(activity, width) {
  return Math.ceil(Date.parse(activity.to) / (width * MINUTE_MS)) * width * MINUTE_MS;
}

/**
 * Adds the counts of all gates in groups of `width` minutes, those of the last three hours.
 * @param {import("./api.js").Activity} activity
 * @param {"entries" | "exits" | "denials"} what
 * @param {number} width
 */
export function grouped(activity, what, width) {
  const groups = new Array(SHOWN_MINUTES / width).fill(0);
  const begin = endOfGroups(activity, width) - SHOWN_MINUTES * MINUTE_MS;
  const first = Date.parse(activity.from);
  for (const gate of activity.gates) {
    gate[what].forEach((count, minute) => {
      const place = Math.floor((first + minute * MINUTE_MS - begin) / (width * MINUTE_MS));
      if (groups[place] !== undefined) groups[place] += count;
    });
  }
  return groups;
}

/**
 * A round number that is at least as large.
 * @param {number} value
 */
export function roundUp(value) {
  if (value <= 5) return 5;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * power >= value) ?? 10;
  return step * power;
}

/**
 * Draws the curve into an element, as large as that is.
 * @param {Element} place
 * @param {import("./api.js").Activity} activity
 * @param {number} font the size of the labels, in pixels
 */
export function drawCurve(place, activity, font) {
  const { width, height } = place.getBoundingClientRect();
  if (width < 50 || height < 50) return;
  const minutes = width / font < 40 ? 10 : 5;
  const entries = grouped(activity, "entries", minutes);
  const exits = grouped(activity, "exits", minutes);
  const most = Math.max(...entries);
  const top = roundUp(Math.max(most, ...exits));
  const end = endOfGroups(activity, minutes);
  const left = font * (number(top).length * 0.62 + 0.8);
  const bottom = height - font * 1.6;
  const roof = font * 1.7;
  const step = (width - left) / entries.length;
  /** @param {number} count */
  const y = (count) => bottom - (count / top) * (bottom - roof);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    parts.push(svg("line", { x1: left, x2: width, y1: at, y2: at, class: "grid" }));
    if (share !== 0.5 || top % 2 === 0) {
      parts.push(svg("text", { x: left - font * 0.5, y: at + font * 0.35, "text-anchor": "end", "font-size": font }, number(top * share)));
    }
  }
  entries.forEach((count, index) => {
    const isLast = index === entries.length - 1;
    parts.push(svg("rect", {
      x: left + index * step + step * 0.1, width: step * 0.8, y: y(count), height: Math.max(0, bottom - y(count)),
      rx: Math.min(3, step * 0.15), class: isLast ? "bar unfinished" : "bar",
    }));
  });
  if (exits.some((count) => count > 0)) {
    const points = exits.map((count, index) => `${left + (index + 0.5) * step},${y(count)}`).join(" ");
    parts.push(svg("polyline", { points, class: "exits" }));
    parts.push(svg("line", { x1: left, x2: left + font * 1.8, y1: font * 0.6, y2: font * 0.6, class: "exits" }));
    parts.push(svg("text", { x: left + font * 2.2, y: font, "font-size": font }, t("exits")));
  }
  const begin = end - SHOWN_MINUTES * MINUTE_MS;
  const every = width / font < 40 ? 60 : 30;
  for (let at = Math.ceil(begin / (every * MINUTE_MS)) * every * MINUTE_MS; at <= end; at += every * MINUTE_MS) {
    const x = left + ((at - begin) / (minutes * MINUTE_MS)) * step;
    const anchor = x > width - font * 2 ? "end" : x < left + font * 1.5 ? "start" : "middle";
    parts.push(svg("text", { x, y: height - font * 0.3, "text-anchor": anchor, "font-size": font }, time(at, "minute")));
  }
  const peak = entries.lastIndexOf(most);
  const at = end - (entries.length - peak) * minutes * MINUTE_MS;
  const label = most > 0 ? t("peak", { count: number(most), time: time(at, "minute") }) : t("no_entries");
  if (most > 0) {
    const x = left + (peak + 0.5) * step;
    const anchor = x < left + font * 6 ? "start" : x > width - font * 6 ? "end" : "middle";
    parts.push(svg("text", { x, y: y(most) - font * 0.5, "text-anchor": anchor, "font-size": font, class: "peak" }, label));
  }
  const total = entries.reduce((sum, count) => sum + count, 0);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `${t("curve_title")}: ${number(total)}. ${label}`,
  }, ...parts);
  place.replaceChildren(picture);
}

/**
 * A line of small bars: the entries at a gate in the last half hour.
 * @param {number[]} counts
 */
export function sparkline(counts) {
  const shown = counts.slice(-30);
  const top = Math.max(4, ...shown);
  return svg("svg", { viewBox: "0 0 60 16", class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" },
    ...shown.map((count, index) => svg("rect", {
      x: (30 - shown.length + index) * 2, width: 1.5, y: 16 - (count / top) * 15, height: (count / top) * 15 + 0.5, class: "bar",
    })));
}
