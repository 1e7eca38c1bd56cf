// The backbone on this machine: its weights, workers that compute, and windows as large as its view.

/** Load the packed model, once: a script that calls `lulcBackbone(model)`; pages from a folder may not fetch a file. */
function loadModel(address) {
  loadModel.asked ||= new Promise((ready, failed) => {
    const script = element("script", { src: address });
    window.lulcBackbone = (model) => { delete window.lulcBackbone; ready(model); };
    script.addEventListener("error", () => {
      delete loadModel.asked;
      failed(new Error("The weights of the network are not beside this page."));
    });
    document.head.append(script);
  });
  return loadModel.asked;
}

/** Spans [first, end, kept from, kept to) of `side` patches that cover `whole` and share two or more; each keeps its half. */
function spans(whole, side, overlap = 2) {
  if (side >= whole) return [[0, whole, 0, whole]];
  const count = 1 + Math.ceil((whole - side) / (side - overlap));
  const round = (x) => x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);  // halves to even numbers, as Python does
  const firsts = Array.from({ length: count }, (_, i) => round(i * (whole - side) / (count - 1)));
  const edges = [0, ...firsts.slice(1).map((first, i) => (firsts[i] + side + first) >> 1), whole];
  return firsts.map((first, i) => [first, first + side, edges[i], edges[i + 1]]);
}

/** Computes features with as many workers as there is work for; `stop()` ends them. */
function network(address, source) {
  let workers = [], busy = null;

  function start(model, wanted) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    while (workers.length < wanted) {
      const worker = new Worker(url);
      worker.postMessage({ model });
      workers.push(worker);
    }
    URL.revokeObjectURL(url);
  }

  function stop() {
    if (!busy) return;
    workers.forEach((worker) => worker.terminate());
    workers = [];
    busy = null;
  }

  /** Features of a picture whose sides are whole patches: {values, rows, cols, d}; `told(share)` hears how far it is. */
  async function features(picture, told) {
    stop();
    const mine = busy = {}, model = await loadModel(address);
    if (busy !== mine) return null;
    const { patch, width: d } = model, side = model.view / patch, [rows, cols] = [picture.height / patch, picture.width / patch];
    const windows = spans(rows, side).flatMap((down) => spans(cols, side).map((across) => ({ down, across })));
    const values = new Float32Array(rows * cols * d), shares = windows.map(() => 0), context = picture.getContext("2d");
    const next = windows.keys();
    start(model, Math.min(windows.length, navigator.hardwareConcurrency || 2, 4));

    const work = (worker) => new Promise((done, failed) => {
      let id;
      const give = () => {
        const { value, done: none } = next.next();
        if (none) { done(); return; }
        id = value;
        const { down: [top, bottom], across: [left, right] } = windows[id], h = bottom - top, w = right - left;
        const { data } = context.getImageData(left * patch, top * patch, w * patch, h * patch);
        worker.postMessage({ pixels: data, h, w }, [data.buffer]);
      };
      worker.onerror = (event) => { event.preventDefault(); failed(new Error("The network stopped before it was done.")); };
      worker.onmessage = ({ data }) => {
        shares[id] = data.share ?? 1;
        told(shares.reduce((sum, share) => sum + share / shares.length, 0));
        if (!data.features) return;
        const { down: [top, , from, to], across: [left, right, start, end] } = windows[id];
        for (let row = from; row < to; row++) {
          const at = ((row - top) * (right - left) + start - left) * d;
          values.set(data.features.subarray(at, at + (end - start) * d), (row * cols + start) * d);
        }
        give();
      };
      give();
    });
    await Promise.all(workers.map(work));
    if (busy !== mine) return null;
    busy = null;
    return { values, rows, cols, d };
  }
  return { features, stop };
}
