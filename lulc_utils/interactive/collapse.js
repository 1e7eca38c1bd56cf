/** A miniature DINO in training, with and without its two tricks. data: see collapse.py. */
function collapse(live, data) {
  const { prototypes, lines, steps } = data, top = Math.log(prototypes);
  const runs = data.runs.map((run) => ({ ...run, mean: numbers(run.mean, Uint8Array), one: numbers(run.one, Uint8Array) }));
  const text = result(), row = element("div", { class: "lulc-row" });
  const part = () => row.appendChild(element("div", { class: "lulc-part", style: "flex-basis: 17em" }));
  const [bars, curves] = [part(), part()], picture = element("div");
  const names = [["of all views, mean", data.colors[0]], ["of one view", data.colors[1]]];
  const legend = element("ul", { class: "lulc-legend" }, ...names.map(([name, color]) =>
    element("li", {}, element("span", { style: `background: ${color}` }), name)));
  bars.append(picture, legend);

  /** A switch under a name. */
  function toggle(name) {
    const box = element("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", update);
    return { label: element("label", {}, box, name), on: () => box.checked };
  }
  const centering = toggle("centering"), sharpening = toggle("sharpening");
  const switches = element("fieldset", { class: "lulc-palette" }, element("legend", {}, "Tricks"), centering.label, sharpening.label);
  const step = slider("Training step", { min: 0, max: steps.length - 1, step: 1, value: steps.length - 1 }, (i) => steps[i], update);

  const chosen = () => runs.find((run) => run.centering === centering.on() && run.sharpening === sharpening.on());
  const shares = (packed, i) => [...packed.subarray(i * prototypes, (i + 1) * prototypes)].map((v) => (v / 255) ** 2);

  function draw() {
    const run = chosen(), i = step.value();
    const { drawn, box, px, py } = axes(picture, {
      from: -3, to: prototypes, low: 0, high: 1, xTicks: [], yTicks: [0.01, 0.1, 0.25, 0.5, 1], scale: Math.sqrt, right: 8,
      say: (v) => `${100 * v} %`, xName: `${prototypes} prototypes, the most used first`, yName: "the teacher's answer",
    });
    const outline = (values) => values.map((v, k) => `H${px(k).toFixed(1)}V${py(v).toFixed(1)}H${px(k + 1).toFixed(1)}`).join("");
    const start = `M${px(0)},${box.bottom}`;
    drawn.append(svg("path", { d: `${start}${outline(shares(run.mean, i))}V${box.bottom}Z`, fill: data.colors[0] }));
    const style = { fill: "none", stroke: data.colors[1], "stroke-width": 2 };
    drawn.append(svg("path", { d: start + outline(shares(run.one, i)), ...style }));
    chart(curves, {
      lines, x: steps, ys: [run.together, run.each, run.student, run.loss], mark: steps[i], level: top, low: 0, high: 5.5, right: 104,
      xTicks: [steps[0], steps[Math.floor(steps.length / 2)], steps[steps.length - 1]], yTicks: [0, 1, 2, 3, 4, 5],
      xName: "training step", yName: "entropies and loss, nats", say: String,
    });
  }

  /** What happens, in words; the limits are those of the sentences, not of a test. */
  function verdict(each, together) {
    if (each > 0.9 * top) return "Every answer is spread over all prototypes: nothing can be learned from it.";
    if (together < 0.35 * top) return "All views get the same answer: nothing can be learned from it.";
    return "Each view gets a clear answer, and different views get different ones.";
  }

  function update() {
    const run = chosen(), i = step.value(), each = run.each[i], together = run.together[i];
    const about = (nats) => Math.round(Math.exp(nats));
    text.textContent = `Step ${steps[i]}, ${run.name}: one answer of the teacher uses about ${about(each)} of ${prototypes} prototypes, `
      + `all answers together about ${about(together)}; one of the student's uses about ${about(run.student[i])}; loss ${run.loss[i].toFixed(2)}. ${verdict(each, together)}`;
    draw();
  }

  live.append(switches, step.label, row, text);
  new ResizeObserver(draw).observe(row);
  update();
}
