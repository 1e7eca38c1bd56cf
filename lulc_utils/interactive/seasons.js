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

  function draw() {
    const l = latitude.value(), d = day.value(), ten = wavelengths.map((_, c) => c);
    const steps = Array.from({ length: Math.round(data.top * 10) + 1 }, (_, i) => i / 10);
    chart(spectra, {
      lines, x: wavelengths, ys: lines.map((_, k) => ten.map((c) => value(l, d, k, c))), xTicks: [500, 1000, 1500, 2000],
      yTicks: steps, low: 0, high: data.top, xName: "wavelength (nm)", yName: `reflectance on ${data.dates[d]}`,
    });
    chart(greenness, {
      lines, x: days, ys: lines.map((_, k) => days.map((_, i) => value(l, i, k, 10))), xTicks: [1, 100, 200, 300],
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
