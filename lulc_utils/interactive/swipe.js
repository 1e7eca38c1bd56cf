/** A map over a picture, and a line between them. data: see swipe.py. */
function swipe(live, data, figure) {
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const found = [...figure.querySelectorAll(".lulc-static img")];
  const last = data.names.length - 1, top = found[last].cloneNode(), below = found[0].cloneNode();
  const line = element("div", { class: "lulc-line" }), text = result();
  const stage = element("div", { class: "lulc-stage" }, below, top, line);
  const left = element("span"), sides = element("div", { class: "lulc-sides" }, left, element("span", {}, `${data.names[last]} ▶`));
  const menu = choice("Left of the line", data.names.slice(0, -1), update);
  const border = slider("Line at", { min: 0, max: 100, step: 1, value: 50 }, (v) => `${v} % of the width`, update);

  function update() {
    const at = border.value(), name = data.names[menu.value()];
    below.src = found[menu.value()].src;
    below.alt = found[menu.value()].alt;
    top.style.clipPath = `inset(0 0 0 ${at}%)`;
    line.style.left = `${at}%`;
    left.textContent = `◀ ${name}`;
    const shares = data.shares[at].map((share, k) => [share, data.classes[k]]);
    const there = shares.filter(([share]) => share > 0).sort((a, b) => b[0] - a[0]);
    const classes = there.map(([share, label]) => `${percent(share)} ${label}`).join(", ") || "nothing";
    text.textContent = `Along the line the ${data.names[last]} has: ${classes}.`;
    if (data.agree && data.agree[at] !== null) {
      text.textContent += ` It agrees with the truth at ${percent(data.agree[at])} of these pixels.`;
    }
  }

  function drag(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = stage.getBoundingClientRect();
    border.move(Math.round(100 * (event.clientX - box.left) / box.width));
  }
  for (const type of ["pointerdown", "pointermove"]) stage.addEventListener(type, drag);
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  stage.style.touchAction = "pan-y";

  if (last > 1) live.append(menu.label);
  border.label.style.maxWidth = "34em";
  live.append(sides, stage, border.label, text, figure.querySelector(".lulc-legend").cloneNode(true));
  update();
}
