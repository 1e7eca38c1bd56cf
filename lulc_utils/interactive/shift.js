/** Which patches a marked patch attracts or repels as the shift b moves. data: see shift.py. */
function shift(live, data) {
  const text = result(), row = element("div", { class: "lulc-row" });
  const b = slider("Shift b", { min: data.min, max: data.max, step: 0.01, value: data.start }, (v) => v.toFixed(2), update);

  const views = data.parts.map((part, number) => {
    const [width, height] = part.size, values = numbers(part.values, Float32Array);
    const label = `${part.name}: attracted patches bright, repelled ones dark and hatched; the text below says how many.`;
    const canvas = canvasOf(width, height, { role: "img", "aria-label": label });
    const share = element("p"), buttons = element("p");
    for (const [name, value] of part.presets) {
      const button = element("button", { type: "button" }, `${name} b = ${value.toFixed(2)}`);
      button.setAttribute("aria-label", `Set b to the ${name} shift of pairs with ${part.name}, ${value.toFixed(2)}`);
      button.addEventListener("click", () => b.move(value));
      buttons.append(button);
    }
    row.append(element("div", { class: "lulc-part" }, element("p", {}, part.name), canvas, share, buttons));
    const view = { part, number, values, canvas, share, gray: null };
    load(part.picture, (image) => { view.gray = grayOf(image, canvas); update(); });
    return view;
  });

  function paint({ part, number, values, canvas, gray }) {
    const context = canvas.getContext("2d");
    context.globalAlpha = 1;
    context.drawImage(gray, 0, 0);
    eachPatch(canvas, part.rows, part.cols, (x, y, w, h, i) => {
      const attracted = values[i] > b.value();
      context.globalAlpha = attracted ? 0.55 : 0.75;
      context.fillStyle = attracted ? "#fde725" : "#440154";
      context.fillRect(x, y, w, h);
      if (attracted) return;
      context.globalAlpha = 0.5;  // a stroke, so that the two kinds differ by more than color
      context.strokeStyle = "#fff";
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, y + h);
      context.lineTo(x + w, y);
      context.stroke();
    });
    context.globalAlpha = 1;
    if (number === 0) frame(canvas, part.rows, part.cols, data.marked);
  }

  function ofClass({ part, values }, count) {  // labels are for the reader; no similarity was computed with them
    if (!part.alike || !count) return "";
    const same = values.filter((value, i) => value > b.value() && part.alike[i] === "1").length;
    return `, ${(100 * same / count).toFixed(0)} % of them ${data.kind}`;
  }

  function update() {
    const shares = views.map((view) => {
      const count = view.values.filter((value) => value > b.value()).length;
      view.share.textContent = `attracted: ${(100 * count / view.values.length).toFixed(1)} %${ofClass(view, count)}`;
      if (view.gray) paint(view);
      return `${(100 * count / view.values.length).toFixed(1)} % of ${view.part.name}`;
    });
    text.textContent = `At b = ${b.value().toFixed(2)} the marked patch attracts ${shares.join(", ")}; it repels the rest.`;
  }

  live.append(b.label, row, text);
  update();
}
