// Charts in SVG, in the colors of the page.

/** An SVG element with attributes and, if given, a text. */
function svg(tag, attributes, content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, v] of Object.entries(attributes)) made.setAttribute(name, v);
  if (content !== undefined) made.textContent = content;
  return made;
}

/** An empty chart as wide as `parent`: its `<svg>`, its inner box, and where a value of x and of y lies. */
function axes(parent, { from, to, low, high, xTicks, yTicks, xName, yName, right = 88, scale = (v) => v, say = (v) => v.toFixed(1) }) {
  const width = Math.min(Math.max(parent.clientWidth, 240), 420), height = 260;
  const box = { left: 38, right: width - right, top: 24, bottom: height - 42 };
  const px = (v) => box.left + (v - from) / (to - from || 1) * (box.right - box.left);
  const py = (v) => box.bottom - (scale(v) - scale(low)) / (scale(high) - scale(low)) * (box.bottom - box.top);
  const drawn = svg("svg", { width, height, "aria-hidden": "true" });
  const thin = { stroke: "currentColor", "stroke-width": 1 };
  drawn.append(svg("text", { x: 0, y: 12 }, yName));
  drawn.append(svg("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  for (const v of yTicks) {
    drawn.append(svg("text", { x: box.left - 5, y: py(v) + 4, "text-anchor": "end" }, say(v)));
    drawn.append(svg("line", { x1: box.left, x2: box.right, y1: py(v), y2: py(v), ...thin, "stroke-opacity": 0.25 }));
  }
  for (const v of xTicks) {
    drawn.append(svg("text", { x: px(v), y: box.bottom + 17, "text-anchor": "middle" }, v));
    drawn.append(svg("line", { x1: px(v), x2: px(v), y1: box.bottom, y2: box.bottom + 4, ...thin }));
  }
  drawn.append(svg("path", { d: `M${box.left},${box.top}V${box.bottom}H${box.right}`, fill: "none", ...thin }));
  parent.replaceChildren(drawn);
  return { drawn, box, px, py, thin };
}

/** Lines with their names at the right end, each name at least a line of text below the one above. */
function chart(parent, { lines, x, ys, mark, level, ...how }) {
  const { drawn, box, px, py, thin } = axes(parent, { from: x[0], to: x[x.length - 1], ...how });
  const across = { x1: box.left, x2: box.right, "stroke-dasharray": "1 4" };
  if (level !== undefined) drawn.append(svg("line", { ...across, y1: py(level), y2: py(level), ...thin }));
  if (mark !== undefined) drawn.append(svg("line", { x1: px(mark), x2: px(mark), y1: box.top, y2: box.bottom, ...thin }));
  ys.forEach((y, k) => {
    const points = y.map((v, i) => `${px(x[i]).toFixed(1)},${py(v).toFixed(1)}`).join(" ");
    drawn.append(svg("polyline", { points, fill: "none", stroke: lines[k].color, "stroke-width": 2, "stroke-dasharray": lines[k].dash }));
  });
  const ends = ys.map((y, k) => ({ k, at: py(y[y.length - 1]) })).sort((a, b) => a.at - b.at);
  ends.forEach((end, i) => { end.text = Math.max(end.at, i ? ends[i - 1].text + 15 : 0); });
  for (let i = ends.length - 1, limit = box.bottom; i >= 0; i--, limit -= 15) ends[i].text = Math.min(ends[i].text, limit);
  for (const { k, at, text: y } of ends) {
    drawn.append(svg("line", { x1: box.right, y1: at, x2: box.right + 8, y2: y, stroke: lines[k].color }));
    drawn.append(svg("text", { x: box.right + 11, y: y + 4 }, lines[k].name));
  }
}
