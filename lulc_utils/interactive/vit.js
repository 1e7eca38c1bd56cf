// The book's vision transformer in plain JavaScript: the numbers that timm's VisionTransformer gives, on typed arrays and
// without a library. Runs in a worker. Every matrix is a Float32Array, row after row.

/** y = x w^T + b for x [n, k] and w [m, k]; n and m are multiples of 4, so that 16 sums are formed from 8 loaded numbers. */
function multiply(x, w, y, n, k, m, b) {
  for (let i = 0; i < n; i += 4) for (let j = 0; j < m; j += 4) {
    let s00 = b ? b[j] : 0, s01 = b ? b[j + 1] : 0, s02 = b ? b[j + 2] : 0, s03 = b ? b[j + 3] : 0;
    let s10 = s00, s11 = s01, s12 = s02, s13 = s03, s20 = s00, s21 = s01, s22 = s02, s23 = s03;
    let s30 = s00, s31 = s01, s32 = s02, s33 = s03;
    const x0 = i * k, x1 = x0 + k, x2 = x1 + k, x3 = x2 + k, w0 = j * k, w1 = w0 + k, w2 = w1 + k, w3 = w2 + k;
    for (let e = 0; e < k; e++) {
      const p = w[w0 + e], q = w[w1 + e], r = w[w2 + e], s = w[w3 + e];
      let a = x[x0 + e]; s00 += a * p; s01 += a * q; s02 += a * r; s03 += a * s;
      a = x[x1 + e]; s10 += a * p; s11 += a * q; s12 += a * r; s13 += a * s;
      a = x[x2 + e]; s20 += a * p; s21 += a * q; s22 += a * r; s23 += a * s;
      a = x[x3 + e]; s30 += a * p; s31 += a * q; s32 += a * r; s33 += a * s;
    }
    let o = i * m + j;
    y[o] = s00; y[o + 1] = s01; y[o + 2] = s02; y[o + 3] = s03; o += m;
    y[o] = s10; y[o + 1] = s11; y[o + 2] = s12; y[o + 3] = s13; o += m;
    y[o] = s20; y[o + 1] = s21; y[o + 2] = s22; y[o + 3] = s23; o += m;
    y[o] = s30; y[o + 1] = s31; y[o + 2] = s32; y[o + 3] = s33;
  }
  return y;
}

/** Every row of x with mean 0 and deviation 1, then stretched and shifted by what was learned. */
function layerNorm(x, n, d, scale, shift) {
  const y = new Float32Array(x.length);
  for (let i = 0; i < n; i++) {
    let mean = 0, square = 0;
    for (let e = i * d; e < i * d + d; e++) mean += x[e] / d;
    for (let e = i * d; e < i * d + d; e++) square += (x[e] - mean) ** 2 / d;
    for (let e = 0; e < d; e++) y[i * d + e] = (x[i * d + e] - mean) / Math.sqrt(square + 1e-6) * scale[e] + shift[e];
  }
  return y;
}

/** GELU, x times the share of a normal distribution below x (Abramowitz and Stegun 7.1.26: off by 1e-7 at most). */
function gelu(x) {
  for (let i = 0; i < x.length; i++) {
    const z = Math.abs(x[i]) * Math.SQRT1_2, t = 1 / (1 + 0.3275911 * z);
    const poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    const tail = 0.5 * poly * Math.exp(-z * z);
    x[i] *= x[i] > 0 ? 1 - tail : tail;
  }
  return x;
}

/** Scores [n, padded] to weights that are positive and sum to 1 over the first n of each row; the others become 0. */
function softmax(scores, n, padded) {
  for (let start = 0; start < n * padded; start += padded) {
    let top = -Infinity, sum = 0;
    for (let j = start; j < start + n; j++) if (scores[j] > top) top = scores[j];
    for (let j = start; j < start + n; j++) sum += scores[j] = Math.exp(scores[j] - top);
    for (let j = start; j < start + n; j++) scores[j] /= sum;
    scores.fill(0, start + n, start + padded);
  }
  return scores;
}

/** Weights [to, from] that resize a line of numbers: bicubic, wider where it shrinks (PyTorch with antialias). */
function resizing(from, to) {
  const cubic = (t) => t < 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
  const wide = Math.max(from / to, 1), weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const row = weights.subarray(i * from, i * from + from), center = (i + 0.5) * from / to;
    const sum = row.reduce((s, _, j) => s + (row[j] = cubic(Math.abs(j + 0.5 - center) / wide)), 0);
    for (let j = 0; j < from; j++) row[j] /= sum;
  }
  return weights;
}

/** The table of positions [side * side, d] stretched to a grid of h x w patches. */
function positions(table, side, d, h, w) {
  const down = resizing(side, h), across = resizing(side, w), half = new Float32Array(h * side * d);
  const result = new Float32Array(h * w * d);
  for (let i = 0; i < h; i++) for (let k = 0; k < side; k++) for (let e = 0; e < side * d; e++)
    half[i * side * d + e] += down[i * side + k] * table[k * side * d + e];
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) for (let k = 0; k < side; k++) for (let e = 0; e < d; e++)
    result[(i * w + j) * d + e] += across[j * side + k] * half[(i * side + k) * d + e];
  return result;
}

/**
 * The network: (pixels RGBA, h, w in patches, told) => features [h * w, d]; `told(share)` hears how far it is.
 * model: {patch, width, depth, heads, side, mean, std, tensors}; the names of the tensors are timm's.
 */
function transformer({ patch, width: d, depth, heads, side, mean, std, tensors }) {
  const get = (name) => tensors[name];
  const linear = (x, n, name, out) =>
    multiply(x, get(`${name}.weight`), new Float32Array(n * out), n, x.length / n, out, get(`${name}.bias`));
  const norm = (x, n, name) => layerNorm(x, n, d, get(`${name}.weight`), get(`${name}.bias`));

  /** Each patch as a row of its normalized pixels, red, green, blue. */
  function cut(pixels, h, w) {
    const area = patch * patch, rows = new Float32Array(Math.ceil(h * w / 4) * 4 * 3 * area);
    for (let i = 0; i < h * w; i++) for (let c = 0; c < 3; c++) for (let p = 0; p < area; p++) {
      const y = Math.floor(i / w) * patch + Math.floor(p / patch), x = (i % w) * patch + p % patch;
      rows[(i * 3 + c) * area + p] = (pixels[(y * w * patch + x) * 4 + c] / 255 - mean[c]) / std[c];
    }
    return rows;
  }

  /** One summary token, then one token for each patch: what it looks like plus where it is. Rows up to `padded` are 0. */
  function embed(pixels, h, w, padded) {
    const rows = cut(pixels, h, w), looks = linear(rows, rows.length / (3 * patch * patch), "patch_embed.proj", d);
    const table = get("pos_embed"), where = positions(table.subarray(d), side, d, h, w), x = new Float32Array(padded * d);
    for (let e = 0; e < d; e++) x[e] = get("cls_token")[e] + table[e];
    for (let e = 0; e < h * w * d; e++) x[d + e] = looks[e] + where[e];
    return x;
  }

  /** Every token asks (query) all tokens (keys) and takes a mixture of what they say (values). */
  function attention(x, n, padded, name) {
    const qkv = linear(x, padded, `${name}.qkv`, 3 * d), size = d / heads;
    const mixed = new Float32Array(padded * d);
    const [q, k, v, said] = [0, 1, 2, 3].map(() => new Float32Array(padded * size));
    const scores = new Float32Array(padded * padded);
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < n; i++) for (let e = 0; e < size; e++) {
        const at = i * 3 * d + head * size + e;
        q[i * size + e] = qkv[at] / Math.sqrt(size);
        k[i * size + e] = qkv[at + d];
        v[e * padded + i] = qkv[at + 2 * d];
      }
      softmax(multiply(q, k, scores, padded, size, padded), n, padded);
      multiply(scores, v, said, padded, padded, size);
      for (let i = 0; i < n; i++) for (let e = 0; e < size; e++)
        mixed[i * d + head * size + e] = said[i * size + e];
    }
    return linear(mixed, padded, `${name}.proj`, d);
  }

  return function features(pixels, h, w, told = () => {}) {
    const n = 1 + h * w, padded = Math.ceil(n / 4) * 4, x = embed(pixels, h, w, padded);
    const add = (y) => { for (let e = 0; e < n * d; e++) x[e] += y[e]; };
    for (let b = 0; b < depth; b++) {
      add(attention(norm(x, padded, `blocks.${b}.norm1`), n, padded, `blocks.${b}.attn`));
      const hidden = gelu(linear(norm(x, padded, `blocks.${b}.norm2`), padded, `blocks.${b}.mlp.fc1`, 4 * d));
      add(linear(hidden, padded, `blocks.${b}.mlp.fc2`, d));
      told((b + 1) / depth);
    }
    return norm(x, n, "norm").slice(d, n * d);
  };
}
