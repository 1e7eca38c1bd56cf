/** Maps of three scenes from a few clicks on the first. data: see click_map.py. */
function click_map(live, data, figure) {
  const { rows, cols, classes, scenes } = data, area = rows * cols, n = area * scenes.length;
  const features = data.kinds.map(({ dim, values, scale }) => {
    const small = numbers(values, Int8Array);
    return Float32Array.from(small, (value, i) => value * scale[i % dim]);
  });
  const photos = figure.querySelectorAll(".lulc-static .lulc-part img:first-child");
  const truth = scenes.map((scene) => numbers(scene.labels, Uint8Array));
  let clicks = data.prepared, marked = clicks[0].patch;

  const brush = palette("Class of your next click", classes);
  const kind = choice("Described by", data.kinds.map((one) => one.name), update);
  const learner = choice("Map by", ["ridge regression", "the most similar click"], update);
  const shown = choice("Lower row", ["the map", "the true classes"], update);
  const set = (now) => { clicks = now; update(); };
  const buttons = element("p", {},
    button("Prepared clicks", () => set(data.prepared)),
    button("Undo", () => set(clicks.slice(0, -1))),
    button("Clear", () => set([])));
  const text = result(), row = element("div", { class: "lulc-row" });

  const views = scenes.map((scene, number) => {
    const first = number === 0, [width, height] = scene.size;
    const picture = canvasOf(width, height, first
      ? { tabindex: 0, role: "application", "aria-roledescription": "grid of patches",
          "aria-label": `Picture of ${rows} by ${cols} patches. Arrow keys move, 1 to ${classes.length} choose a class, Enter clicks.` }
      : { role: "img", "aria-label": photos[number].alt });
    const map = canvasOf(width, height, { role: "img", "aria-label": `Map of ${scene.name}; the text below gives its score.` });
    const score = element("p");
    row.append(element("div", { class: "lulc-part lulc-third" }, element("p", {}, scene.name), picture, map, score));
    const view = { number, picture, map, score, image: null };
    load(photos[number].src, (image) => { view.image = image; update(); });
    return view;
  });

  function learned() {
    const values = features[kind.value()], { dim } = data.kinds[kind.value()];
    return learner.value() === 0 ? ridge(values, n, dim, clicks, data.lambda) : nearest(values, n, dim, clicks);
  }

  function update() {
    const labels = clicks.length ? learned() : null;
    const scores = views.map(({ number, picture, map, score, image }) => {
      const answer = labels && labels.slice(number * area, number * area + area);
      const miou = answer && meanIou(answer, truth[number], classes.length);
      const drawn = shown.value() === 1 ? truth[number] : answer;
      map.getContext("2d").clearRect(0, 0, map.width, map.height);
      fillPatches(map, rows, cols, (i) => drawn && classes[drawn[i]]?.color);
      score.textContent = answer ? `mIoU ${miou.toFixed(2)}` : "no map yet";
      if (image) {
        picture.getContext("2d").drawImage(image, 0, 0, picture.width, picture.height);
        if (number === 0) {
          frame(picture, rows, cols, marked);
          drawClicks(picture, rows, cols, clicks, classes);
        }
      }
      return miou;
    });
    text.textContent = labels ? words(scores) : "Choose a class and click a patch of the first picture that shows it.";
    text.textContent += ` ${whereIs(marked, cols)}`;
  }

  function words(scores) {
    const missing = classes.filter((_, k) => !clicks.some((click) => click.label === k)).map((one) => one.name);
    const others = scores.slice(1), mean = others.reduce((sum, one) => sum + one / others.length, 0);
    return `${clicks.length} ${clicks.length === 1 ? "click" : "clicks"}, patches described by ` +
      `${data.kinds[kind.value()].name}: mIoU ${scores[0].toFixed(2)} here and ${mean.toFixed(2)} on average in the ` +
      `scenes nobody clicked.${missing.length ? ` Not clicked yet: ${missing.join(", ")}.` : ""}`;
  }

  pointing(views[0].picture, {
    grid: () => ({ rows, cols }),
    at: () => marked,
    moved: (patch) => { marked = patch; update(); },
    picked: (patch) => { marked = patch; set(clicked(clicks, patch, brush.value())); },
    digit: (number) => brush.choose(number - 1),
  });
  live.append(brush.box, buttons, element("div", { class: "lulc-row" }, kind.label, learner.label, shown.label), row, text);
  update();
}
