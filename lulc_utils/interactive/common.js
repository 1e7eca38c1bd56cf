// What all interactive figures share. Each figure has its own copy inside a function, so no name leaks into the page.

/** An element with attributes and children; text stays text and is never read as HTML. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A range input under a label that shows its value; `words(value)` says it, `changed()` is called on every move. */
function slider(text, { min, max, step, value }, words, changed) {
  const input = element("input", { type: "range", min, max, step, value, "aria-label": text });
  const shown = element("span");  // not <output>: the label would belong to it instead of the slider
  const tell = () => {
    shown.textContent = words(Number(input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => { tell(); changed(); });
  tell();
  const move = (to) => { input.value = to; tell(); changed(); };
  return { label: element("label", {}, `${text}: `, shown, input), move, value: () => Number(input.value) };
}

/** A menu under a label; `changed()` is called when another name is chosen. */
function choice(text, names, changed) {
  const menu = element("select", {}, ...names.map((name, i) => element("option", { value: i }, name)));
  menu.addEventListener("change", changed);
  return { label: element("label", {}, `${text}: `, menu), value: () => Number(menu.value) };
}

/** The result in words, which screen readers read out when it changes. */
function result() {
  return element("p", { role: "status", "aria-live": "polite", class: "lulc-result" });
}

/** The numbers that Python packed: bytes in base64, as an array of the given type. */
function numbers(base64, Type) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

/** A canvas as large as a picture on the screen; `draw(context)` paints it, again whenever it is asked to. */
function canvasOf(width, height, attributes) {
  const zoom = Math.max(1, Math.ceil(448 / Math.max(width, height)));
  return element("canvas", { width: width * zoom, height: height * zoom, ...attributes });
}

/** Load a picture from its data address, then call `ready(image)`. */
function load(address, ready) {
  const image = new Image();
  image.addEventListener("load", () => ready(image));
  image.src = address;
}

/** A picture without its colors, as large as a canvas. */
function grayOf(image, { width, height }) {
  const copy = element("canvas", { width, height }), context = copy.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height), p = pixels.data;
  for (let i = 0; i < p.length; i += 4) p[i] = p[i + 1] = p[i + 2] = (p[i] + p[i + 1] + p[i + 2]) / 3;
  context.putImageData(pixels, 0, 0);
  return copy;
}

/** Call `paint(x, y, width, height, i)` for every patch of a grid on a canvas. */
function eachPatch(canvas, rows, cols, paint) {
  const w = canvas.width / cols, h = canvas.height / rows;
  for (let i = 0; i < rows * cols; i++) paint((i % cols) * w, Math.floor(i / cols) * h, w, h, i);
}

/** Frame patch i of a grid on a canvas, white on black, as thick on the page however much smaller the canvas is there. */
function frame(canvas, rows, cols, i) {
  const context = canvas.getContext("2d"), w = canvas.width / cols, h = canvas.height / rows;
  const perPixel = Math.max(1, canvas.width / (canvas.clientWidth || canvas.width));
  for (const [color, width] of [["#000", 5], ["#fff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * perPixel;
    context.strokeRect((i % cols) * w, Math.floor(i / cols) * h, w, h);
  }
}

/** Start every figure of this kind that is not running yet: `build(live, data, figure)` fills an empty element. */
function setUp(kind, build) {
  for (const figure of document.querySelectorAll(`figure.lulc-figure[data-kind="${kind}"]:not([data-live])`)) {
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const live = element("div", { class: "lulc-live" });
    build(live, data, figure);
    figure.querySelector(".lulc-static").after(live);
    figure.dataset.live = "";
  }
}
