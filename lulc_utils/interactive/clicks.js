// Labels by hand: choosing a class, and pointing at patches of a picture with mouse, finger or keys.

/** Radio buttons for classes [{name, color}], numbered so that the keys 1 to 9 choose them, too. */
function palette(title, classes) {
  const group = `lulc-${Math.random().toString(36).slice(2)}`;  // radio buttons belong together by a name
  const buttons = classes.map((one, k) => element("input", { type: "radio", name: group, value: k }));
  const labels = classes.map((one, k) => {
    const patch = element("span", { class: "lulc-swatch" });
    patch.style.background = one.color;
    return element("label", {}, buttons[k], patch, `${k + 1} ${one.name}`);
  });
  buttons[0].checked = true;
  return {
    box: element("fieldset", { class: "lulc-palette" }, element("legend", {}, title), ...labels),
    value: () => buttons.findIndex((button) => button.checked),
    choose: (k) => { if (buttons[k]) buttons[k].checked = true; },
  };
}

/**
 * Let a reader point at patches of a canvas. `grid()` gives {rows, cols}; `at()` the marked patch; `moved(patch)` hears of
 * arrow keys, `picked(patch)` of a click, a tap, Enter or Space, `digit(number)` of the keys 1 to 9.
 */
function pointing(canvas, { grid, at, moved, picked, digit }) {
  const bounded = (value, count) => Math.min(Math.max(value, 0), count - 1);
  canvas.style.cursor = "crosshair";
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), { rows, cols } = grid();
    const row = bounded(Math.floor((event.clientY - box.top) / box.height * rows), rows);
    picked(row * cols + bounded(Math.floor((event.clientX - box.left) / box.width * cols), cols));
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { rows, cols } = grid(), row = Math.floor(at() / cols), col = at() % cols;
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) moved(bounded(row + step[0], rows) * cols + bounded(col + step[1], cols));
    else if (event.key === "Enter" || event.key === " ") picked(at());
    else if (digit && /^[1-9]$/.test(event.key)) digit(Number(event.key));
    else return;
    event.preventDefault();
  });
}

/** The clicks so far with the class of each; a patch clicked again changes its class, or loses it to the same class. */
function clicked(clicks, patch, label) {
  const before = clicks.find((click) => click.patch === patch), others = clicks.filter((click) => click !== before);
  return before && before.label === label ? others : [...others, { patch, label }];
}

/** Where the marked patch is, for those who move it by keys. */
function whereIs(patch, cols) {
  return `The marked patch is in row ${Math.floor(patch / cols) + 1}, column ${patch % cols + 1}.`;
}

/** Draw clicks on a canvas: squares in the colors of their classes, with the number of the class on white. At least
 * 15 pixels of the page each, so that the number has nine points. */
function drawClicks(canvas, rows, cols, clicks, classes) {
  const context = canvas.getContext("2d"), perPixel = canvas.width / (canvas.clientWidth || canvas.width);
  const size = Math.max(Math.max(canvas.width, canvas.height) / 18, 15 * perPixel);
  context.font = `bold ${0.8 * size}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { patch, label } of clicks) {
    const inside = (at, length) => Math.min(Math.max(at, size / 2 + 1), length - size / 2 - 1);  // whole at an edge
    const x = inside(((patch % cols) + 0.5) * canvas.width / cols, canvas.width);
    const y = inside((Math.floor(patch / cols) + 0.5) * canvas.height / rows, canvas.height);
    for (const [color, side] of [["#000", size + 2], [classes[label].color, size], ["#fff", 0.72 * size]]) {
      context.fillStyle = color;
      context.fillRect(x - side / 2, y - side / 2, side, side);
    }
    context.fillStyle = "#000";
    context.fillText(label + 1, x, y + 1);
  }
}

/** Fill every patch of a canvas with the color that `colorOf(i)` gives; nothing where it gives none. */
function fillPatches(canvas, rows, cols, colorOf) {
  const context = canvas.getContext("2d");
  eachPatch(canvas, rows, cols, (x, y, w, h, i) => {
    const color = colorOf(i);
    if (!color) return;
    context.fillStyle = color;
    context.fillRect(Math.floor(x), Math.floor(y), Math.ceil(w), Math.ceil(h));
  });
}

/** A button that does something. */
function button(text, pressed) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", pressed);
  return made;
}
