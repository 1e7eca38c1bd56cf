/** Cosine similarity of a chosen patch of the first picture to all patches. data: see similarity.py. */
function similarity(live, data) {
  const { rows, cols } = data, count = rows * cols, [width, height] = data.size;
  const scenes = data.pictures.length, total = count * scenes, first = scenes > 1 ? count : 0;
  const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
  const rgb = VIRIDIS.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  const labels = data.labels && numbers(data.labels, Uint8Array);
  const kinds = data.kinds.map(unpack);
  const images = Array(scenes).fill(null), grays = Array(scenes).fill(null);
  let chosen = data.start;

  /** Packed features as vectors of length one. */
  function unpack({ dim, values, scale }) {
    const small = numbers(values, Int8Array), vectors = new Float64Array(total * dim);
    for (let p = 0; p < total; p++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += (vectors[p * dim + d] = small[p * dim + d] * scale[d]) ** 2;
      for (let d = 0; d < dim; d++) vectors[p * dim + d] /= Math.sqrt(sum) || 1;
    }
    return { dim, vectors };
  }

  function cosines({ dim, vectors }, patch) {
    return Array.from({ length: total }, (_, p) => {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += vectors[p * dim + d] * vectors[patch * dim + d];
      return sum;
    });
  }

  function color(t) {
    const at = Math.min(Math.max(t, 0), 1) * (rgb.length - 1), i = Math.min(Math.floor(at), rgb.length - 2);
    return `rgb(${rgb[i].map((c, k) => Math.round(c + (rgb[i + 1][k] - c) * (at - i))).join(",")})`;
  }

  const within = (patch) => `row ${Math.floor((patch % count) / cols)}, column ${patch % cols}`;
  const where = (patch) => within(patch) + (patch < count ? "" : ` of scene ${Math.floor(patch / count) + 1}`);

  /** The result in words. */
  function words(values, order, name) {
    const own = labels && data.classes[labels[chosen]];
    const near = order.slice(0, 20), alike = labels && near.filter((p) => labels[p] === labels[chosen]).length;
    const last = order[order.length - 1];
    let text = `The patch in ${where(chosen)}${own ? ` (${own})` : ""}, described by ${name}.`;
    if (near.length) {
      text += ` Most similar: ${where(near[0])} (cosine ${values[near[0]].toFixed(2)});`;
      text += ` least: ${where(last)} (${values[last].toFixed(2)}).`;
    }
    if (own && near.length) text += ` Of the ${near.length} most similar patches${scenes > 1 ? " of the other scenes" : ""}, ${alike} are ${own} too.`;
    return text;
  }

  const options = { tabindex: 0, role: "application", "aria-roledescription": "grid of patches" };
  options["aria-label"] = `Picture of ${rows} by ${cols} patches. Move with the arrow keys; the text below says what is similar.`;
  const picture = canvasOf(width, height, options);
  const answers = data.pictures.map((_, s) => canvasOf(width, height, {
    role: "img", "aria-label": `Similarity to the chosen patch in scene ${s + 1}; the text below says it in words.`,
  }));
  const menu = choice("Described by", data.kinds.map((kind) => kind.name), update);
  const [low, bar, text, note] = [element("span"), element("span"), result(), element("p")];
  bar.style.background = `linear-gradient(to right, ${VIRIDIS.join(",")})`;

  function update() {
    const kind = data.kinds[menu.value()], values = cosines(kinds[menu.value()], chosen);
    const order = values.map((_, p) => p).filter((p) => p >= first && p !== chosen).sort((a, b) => values[b] - values[a]);
    const lowest = Math.min(...values), near = new Set(order.slice(0, 20));
    low.textContent = lowest.toFixed(2);
    text.textContent = words(values, order, kind.name);
    note.textContent = `Each patch is packed into ${kind.dim} numbers; no cosine is off by more than ${kind.error.toFixed(3)}.`;
    answers.forEach((canvas, s) => { if (grays[s]) paint(canvas, s, values, lowest, near); });
    if (!images[0]) return;
    picture.getContext("2d").drawImage(images[0], 0, 0, picture.width, picture.height);
    for (const canvas of [picture, answers[0]]) frame(canvas, rows, cols, chosen);
  }

  /** The similarities in scene s; with several scenes the twenty most similar patches are framed. */
  function paint(canvas, s, values, lowest, near) {
    const context = canvas.getContext("2d");
    context.globalAlpha = 1;
    context.drawImage(grays[s], 0, 0);
    context.globalAlpha = 0.75;
    eachPatch(canvas, rows, cols, (x, y, w, h, p) => {
      context.fillStyle = color((values[s * count + p] - lowest) / Math.max(1 - lowest, 1e-9));
      context.fillRect(x, y, w, h);
    });
    context.globalAlpha = 1;
    if (s) for (let p = 0; p < count; p++) if (near.has(s * count + p)) frame(canvas, rows, cols, p);
  }

  function choose(row, col) {
    chosen = Math.min(Math.max(row, 0), rows - 1) * cols + Math.min(Math.max(col, 0), cols - 1);
    update();
  }

  for (const canvas of [picture, answers[0]]) {
    canvas.style.cursor = "crosshair";
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      choose(Math.floor((event.clientY - box.top) / box.height * rows), Math.floor((event.clientX - box.left) / box.width * cols));
    });
  }
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(Math.floor(chosen / cols) + step[0], (chosen % cols) + step[1]);
  });

  const row = element("div", { class: "lulc-row" });
  const wide = scenes > 1 ? { style: "flex: 0 1 13em" } : {};
  [picture, ...answers].forEach((canvas, i) =>
    row.append(element("div", { class: "lulc-part", ...wide }, element("p", {}, data.names[i]), canvas)));
  if (kinds.length > 1) live.append(menu.label);
  live.append(row, element("div", { class: "lulc-bar" }, low, bar, element("span", {}, "1 (cosine similarity)")), text, note);
  data.pictures.forEach((address, s) => load(address, (loaded) => {
    images[s] = loaded;
    grays[s] = grayOf(loaded, answers[s]);
    update();
  }));
  update();
}
