/** Spectra and NDVI of simulated classes over day and latitude. data: see seasons.py. */
function seasons(live, data) {
  const values = numbers(data.values, Int16Array), { days, latitudes, lines, wavelengths } = data, CHANNELS = 11;
  const value = (l, d, k, c) => data.step * values[((l * days.length + d) * lines.length + k) * CHANNELS + c];
  const degrees = (l) => `${Math.abs(latitudes[l])}° ${latitudes[l] < 0 ? "south" : "north"}`;
  const text = result(), row = element("div", { class: "lulc-row" });
  const part = () => row.appendChild(element("div", { class: "lulc-part", style: "flex-basis: 17em" }));  // a phone: below each other
  const [spectra, greenness] = [part(), part()];
  const slide = (name, count, at, words) => slider(name, { min: 0, max: count - 1, step: 1, value: at }, words, update);
  const latitude = slide("Latitude", latitudes.length, data.start[0], degrees);
  const day = slide("Day of the year", days.length, data.start[1], (d) => `${days[d]} (${data.dates[d]})`);

  function svg(tag, attributes, content) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, v] of Object.entries(attributes)) made.setAttribute(name, v);
    if (content !== undefined) made.textContent = content;
    return made;
  }

  /** Lines with their names at the right end, each name at least a line of text below the one above. */
  function chart(parent, { x, ys, xTicks, yTicks, low, high, xName, yName, mark }) {
    const width = Math.min(Math.max(parent.clientWidth, 240), 420), height = 260;
    const box = { left: 38, right: width - 88, top: 24, bottom: height - 42 };
    const px = (v) => box.left + (v - x[0]) / (x[x.length - 1] - x[0]) * (box.right - box.left);
    const py = (v) => box.bottom - (v - low) / (high - low) * (box.bottom - box.top);
    const drawn = svg("svg", { width, height, "aria-hidden": "true" });
    const thin = { stroke: "currentColor", "stroke-width": 1 };
    drawn.append(svg("text", { x: 0, y: 12 }, yName));
    drawn.append(svg("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
    for (const v of yTicks) {
      drawn.append(svg("text", { x: box.left - 5, y: py(v) + 4, "text-anchor": "end" }, v.toFixed(1)));
      drawn.append(svg("line", { x1: box.left, x2: box.right, y1: py(v), y2: py(v), ...thin, "stroke-opacity": 0.25 }));
    }
    for (const v of xTicks) {
      drawn.append(svg("text", { x: px(v), y: box.bottom + 17, "text-anchor": "middle" }, v));
      drawn.append(svg("line", { x1: px(v), x2: px(v), y1: box.bottom, y2: box.bottom + 4, ...thin }));
    }
    drawn.append(svg("path", { d: `M${box.left},${box.top}V${box.bottom}H${box.right}`, fill: "none", ...thin }));
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
    parent.replaceChildren(drawn);
  }

  function draw() {
    const l = latitude.value(), d = day.value(), ten = wavelengths.map((_, c) => c);
    const steps = Array.from({ length: Math.round(data.top * 10) + 1 }, (_, i) => i / 10);
    chart(spectra, {
      x: wavelengths, ys: lines.map((_, k) => ten.map((c) => value(l, d, k, c))), xTicks: [500, 1000, 1500, 2000],
      yTicks: steps, low: 0, high: data.top, xName: "wavelength (nm)", yName: `reflectance on ${data.dates[d]}`,
    });
    chart(greenness, {
      x: days, ys: lines.map((_, k) => days.map((_, i) => value(l, i, k, 10))), xTicks: [1, 100, 200, 300],
      yTicks: [-0.5, 0, 0.5, 1], low: -0.6, high: 1, xName: "day of the year", yName: `NDVI at ${degrees(l)}`, mark: days[d],
    });
  }

  function update() {
    const l = latitude.value(), d = day.value();
    const ndvi = lines.map(({ name }, k) => `${name} ${value(l, d, k, 10).toFixed(2)}`).join(", ");
    text.textContent = `Simulated, ${degrees(l)}, day ${days[d]} (${data.dates[d]}). NDVI: ${ndvi}.`;
    draw();
  }

  live.append(day.label, latitude.label, row, text);
  new ResizeObserver(draw).observe(row);
  update();
}
