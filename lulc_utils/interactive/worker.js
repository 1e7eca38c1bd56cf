// A worker: first the packed model arrives, then windows of pictures, one after the other.

/** The tensors of a packed model: whole numbers -127..127 with a scale for each row, or plain numbers. */
function unpack(model) {
  const bytes = Uint8Array.from(atob(model.bytes), (letter) => letter.charCodeAt(0)).buffer, tensors = {};
  for (const { name, at, rows, cols, small } of model.tensors) {
    if (!small) { tensors[name] = new Float32Array(bytes, at, rows * cols); continue; }
    const scale = new Float32Array(bytes, at, rows), whole = new Int8Array(bytes, at + 4 * rows, rows * cols);
    const values = tensors[name] = new Float32Array(rows * cols);
    for (let i = 0; i < rows; i++) for (let j = i * cols; j < (i + 1) * cols; j++) values[j] = whole[j] * scale[i];
  }
  return { ...model, tensors };
}

let network;
self.onmessage = ({ data }) => {
  if (data.model) { network = transformer(unpack(data.model)); return; }
  const tell = (share) => self.postMessage({ share });
  const features = network(data.pixels, data.h, data.w, tell);
  self.postMessage({ features }, [features.buffer]);
};
