/** A reader's own picture, described by the backbone in this page. data: see try_it.py. */
function try_it(live, data) {
  const { classes, colors, patch, longest } = data, net = network(data.weights, data.worker);
  const VIEWS = ["features as colors", "similarity to a patch", "groups (k-means)", "a map from your clicks"];
  let picture = null, gray = null, kinds = null, clicks = [], marked = 0, groups = null, run = 0;

  // ---------------------------------------------------------------------------------- choosing a picture
  const samples = element("div", { class: "lulc-samples" }, ...data.samples.map(({ name, alt, picture: address }) => {
    const made = button("", () => load(address, (image) => begin(image)));
    made.append(element("img", { src: address, alt }), element("span", {}, name));
    return made;
  }));
  const file = element("input", { type: "file", accept: KINDS.join(",") });
  const large = choice("A larger picture is", [`reduced to ${longest} pixels`, `cut to its middle ${longest} pixels`], () => {});
  const said = result(), bar = element("progress", { max: 1, value: 0, "aria-label": "Share of the features computed" });
  const drop = element("div", { class: "lulc-drop" },
    element("label", {}, "Your own picture from the air (choose it, or drop it here): ", file), large.label);
  bar.hidden = true;
  file.addEventListener("change", () => { if (file.files.length) take(file.files[0]); });
  live.addEventListener("dragover", (event) => { event.preventDefault(); drop.dataset.over = ""; });
  live.addEventListener("dragleave", () => { delete drop.dataset.over; });
  live.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });

  async function take(chosen) {
    const wrong = complaint(chosen);
    if (wrong) { refuse(wrong); return; }
    const image = await createImageBitmap(chosen).catch(() => null);
    if (image) begin(image); else refuse("This picture cannot be read; the file may be damaged.");
  }

  function refuse(sentence) {
    net.stop();
    run++;
    bar.hidden = true;
    said.textContent = sentence;
  }

  async function begin(image) {
    const mine = ++run, since = performance.now();
    try {
      const canvas = prepared(image, longest, patch, large.value() === 1);
      bar.value = 0;
      bar.hidden = false;
      said.textContent = `Computing the features of ${canvas.width} by ${canvas.height} pixels on this machine ...`;
      const found = await net.features(canvas, (share) => { if (mine === run) bar.value = share; });
      if (mine !== run || !found) return;
      ready(canvas, found);
      const seconds = ((performance.now() - since) / 1000).toFixed(1);
      said.textContent = `${found.rows * found.cols} patches of ${patch} pixels, ${found.d} numbers each, in ${seconds} seconds.`;
    } catch (error) {
      if (mine === run) refuse(error.message);
    }
  }

  function ready(canvas, found) {
    kinds = [found, rawColor(canvas, patch)];
    picture = canvas;
    clicks = [];
    groups = null;
    marked = (found.rows >> 1) * found.cols + (found.cols >> 1);
    const { width, height } = canvasOf(canvas.width, canvas.height);
    for (const one of [left, right]) Object.assign(one, { width, height });
    gray = grayOf(canvas, right);
    bar.hidden = true;
    work.hidden = false;
    update();
    reveal();
  }

  /** Scroll until the pictures are seen, with all that changes them above, where the window ends before they do. */
  function reveal() {
    if (pictures.getBoundingClientRect().bottom <= innerHeight) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    work.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }

  // ------------------------------------------------------------------------------------- what it shows
  const view = choice("Show", VIEWS, () => { update(); reveal(); });
  const kind = choice("Described by", ["the embedded backbone", "raw color"], () => { groups = null; update(); });
  const many = slider("Groups", { min: 2, max: colors.length, step: 1, value: data.groups }, String, () => { groups = null; update(); });
  const brush = palette("Class of your next click", classes);
  const learner = choice("Map by", ["ridge regression", "the most similar click"], update);
  const set = (now) => { clicks = now; update(); };
  const clicking = element("div", {}, brush.box, learner.label,
    element("p", {}, button("Undo", () => set(clicks.slice(0, -1))), button("Clear", () => set([]))));
  const text = result(), legend = element("ul", { class: "lulc-legend" });
  const left = element("canvas", { tabindex: 0, role: "application", "aria-roledescription": "grid of patches",
    "aria-label": "The picture. Arrow keys move the marked patch, Enter clicks it; the text below says what follows." });
  const right = element("canvas", { role: "img", "aria-label": "What the features say about the picture; the text below says it in words." });
  const save = button("Download as PNG", () => right.toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: "land-cover.png" });
    link.click();
    URL.revokeObjectURL(link.href);
  }));
  const part = (canvas) => element("div", { class: "lulc-part lulc-half" }, canvas);
  const pictures = element("div", { class: "lulc-row" }, part(left), part(right));
  const work = element("div", { class: "lulc-work" }, element("div", { class: "lulc-row" }, view.label, kind.label),
    many.label, clicking, pictures, legend, text, element("p", {}, save));
  work.hidden = true;

  const painters = [asColors, asSimilarity, asGroups, asMap];

  function update() {
    const features = kinds[kind.value()], context = right.getContext("2d");
    many.label.hidden = view.value() !== 2;
    clicking.hidden = view.value() !== 3;
    left.getContext("2d").drawImage(picture, 0, 0, left.width, left.height);
    context.globalAlpha = 1;
    context.drawImage(gray, 0, 0);
    legend.replaceChildren();
    text.textContent = painters[view.value()](features, context);
    context.globalAlpha = 1;
  }

  const paint = ({ rows, cols }, colorOf) => fillPatches(right, rows, cols, colorOf);

  /** Lines of a legend with their share of the patches, and the same in words. */
  function listed(labels, entries) {
    const counts = entries.map((_, k) => labels.reduce((sum, label) => sum + (label === k), 0));
    const lines = entries.map((one, k) => `${one.name} ${Math.round(100 * counts[k] / labels.length)} %`);
    entries.forEach((one, k) => {
      if (!counts[k]) return;
      const swatch = element("span");
      swatch.style.background = one.color;
      legend.append(element("li", {}, swatch, lines[k]));
    });
    return lines.filter((_, k) => counts[k]).join(", ");
  }

  function asColors({ values, rows, cols, d }) {
    const rgb = principalColors(values, rows * cols, d);
    paint({ rows, cols }, (i) => `rgb(${rgb[3 * i]} ${rgb[3 * i + 1]} ${rgb[3 * i + 2]})`);
    return "Patches with similar features have similar colors: the three directions in which the features differ most are red, green and blue.";
  }

  function asSimilarity({ values, rows, cols, d }, context) {
    const unit = unitRows(values, rows * cols, d), near = Array.from({ length: rows * cols }, (_, i) => product(unit, i, unit, marked, d));
    const low = near.reduce((least, value) => Math.min(least, value)), count = near.filter((value) => value > 0.8).length;
    paint({ rows, cols }, (i) => {
      context.globalAlpha = 0.9 * Math.max(0, (near[i] - low) / Math.max(1 - low, 1e-9)) ** 2;
      return "#fde725";
    });
    context.globalAlpha = 1;
    for (const canvas of [left, right]) frame(canvas, rows, cols, marked);
    return `${whereIs(marked, cols)} The brighter, the more similar to it: ` +
      `${count} of ${rows * cols} patches have a cosine above 0.8; the least similar has ${low.toFixed(2)}.`;
  }

  function asGroups({ values, rows, cols, d }, context) {
    groups ||= kMeans(values, rows * cols, d, many.value());
    context.globalAlpha = 0.75;
    paint({ rows, cols }, (i) => colors[groups[i]]);
    const names = Array.from({ length: many.value() }, (_, k) => ({ name: `group ${k + 1}`, color: colors[k] }));
    return `Groups without a name, found without a label: ${listed(groups, names)} of the patches.`;
  }

  function asMap({ values, rows, cols, d }, context) {
    frame(left, rows, cols, marked);
    drawClicks(left, rows, cols, clicks, classes);
    if (!clicks.length) return `Choose a class, then click a patch of the first picture that shows it. ${whereIs(marked, cols)}`;
    const n = rows * cols, scaled = standardized(values, n, d);
    const labels = learner.value() === 0 ? ridge(scaled, n, d, clicks, data.lambda) : nearest(scaled, n, d, clicks);
    context.globalAlpha = 0.75;
    paint({ rows, cols }, (i) => classes[labels[i]].color);
    return `${clicks.length} ${clicks.length === 1 ? "click" : "clicks"}: ${listed(labels, classes)} of the patches. ${whereIs(marked, cols)}`;
  }

  pointing(left, {
    grid: () => kinds[0],
    at: () => marked,
    moved: (to) => { marked = to; update(); },
    picked: (to) => {
      marked = to;
      if (view.value() === 3) clicks = clicked(clicks, to, brush.value());
      update();
    },
    digit: (number) => brush.choose(number - 1),
  });
  live.append(samples, drop, bar, said, work);
}
