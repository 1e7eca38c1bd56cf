// Learning from patch features in the page: principal colors, groups, and maps from a few clicks.
// Features are n rows of d numbers in one typed array.

/** The features with every row of length one. */
function unitRows(values, n, d) {
  const unit = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let e = i * d; e < i * d + d; e++) square += values[e] ** 2;
    const length = Math.sqrt(square) || 1;
    for (let e = i * d; e < i * d + d; e++) unit[e] = values[e] / length;
  }
  return unit;
}

/** The features with every column of mean 0 and deviation 1. */
function standardized(values, n, d) {
  const result = new Float32Array(n * d);
  for (let e = 0; e < d; e++) {
    let mean = 0, square = 0;
    for (let i = 0; i < n; i++) mean += values[i * d + e] / n;
    for (let i = 0; i < n; i++) square += (values[i * d + e] - mean) ** 2 / n;
    const deviation = Math.sqrt(square) || 1;
    for (let i = 0; i < n; i++) result[i * d + e] = (values[i * d + e] - mean) / deviation;
  }
  return result;
}

function product(a, i, b, j, d) {
  let sum = 0;
  for (let e = 0; e < d; e++) sum += a[i * d + e] * b[j * d + e];
  return sum;
}

/** Solve (A + lambda I) X = B for a symmetric A [m, m] and B [m, c], in place of B, by elimination. */
function solve(A, B, m, c, lambda) {
  for (let i = 0; i < m; i++) A[i * m + i] += lambda;
  for (let i = 0; i < m; i++) for (let j = i + 1; j < m; j++) {
    const factor = A[j * m + i] / A[i * m + i];
    for (let k = i; k < m; k++) A[j * m + k] -= factor * A[i * m + k];
    for (let k = 0; k < c; k++) B[j * c + k] -= factor * B[i * c + k];
  }
  for (let i = m - 1; i >= 0; i--) for (let k = 0; k < c; k++) {
    for (let j = i + 1; j < m; j++) B[i * c + k] -= A[i * m + j] * B[j * c + k];
    B[i * c + k] /= A[i * m + i];
  }
  return B;
}

/** Ridge regression from clicks [{patch, label}] to a label for each of the n rows; classes that nobody clicked stay out. */
function ridge(values, n, d, clicks, lambda) {
  const m = clicks.length, labels = [...new Set(clicks.map((click) => click.label))], c = labels.length;
  const rows = new Float64Array(m * d), A = new Float64Array(m * m), B = new Float64Array(m * c).fill(-1 / c);
  clicks.forEach(({ patch, label }, i) => {
    rows.set(values.subarray(patch * d, patch * d + d), i * d);
    B[i * c + labels.indexOf(label)] += 1;
  });
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) A[i * m + j] = product(rows, i, rows, j, d);
  solve(A, B, m, c, lambda * values.reduce((sum, value) => sum + value ** 2, 0) / n);
  const slopes = new Float64Array(c * d);  // one line of d slopes for each class
  for (let k = 0; k < c; k++) for (let i = 0; i < m; i++) for (let e = 0; e < d; e++)
    slopes[k * d + e] += B[i * c + k] * rows[i * d + e];
  return best(n, labels, (i, k) => product(values, i, slopes, k, d));
}

/** For each of the n rows the label of the clicked row that is most similar (cosine). */
function nearest(values, n, d, clicks) {
  const unit = unitRows(values, n, d);
  return best(n, clicks.map((click) => click.label), (i, k) => product(unit, i, unit, clicks[k].patch, d));
}

function best(n, labels, score) {
  return Uint8Array.from({ length: n }, (_, i) => {
    let first = 0, top = -Infinity;
    for (let k = 0; k < labels.length; k++) {
      const found = score(i, k);
      if (found > top) { top = found; first = k; }
    }
    return labels[first];
  });
}

/** The average over the classes that occur of (right) / (right + wrongly given + missed); 255 is no label. */
function meanIou(answer, truth, classes) {
  const right = new Uint32Array(classes), either = new Uint32Array(classes);
  truth.forEach((label, i) => {
    if (label === 255) return;
    either[label]++;
    if (answer[i] === label) right[label]++; else either[answer[i]]++;
  });
  const occurring = [...either.keys()].filter((k) => either[k]);
  return occurring.reduce((sum, k) => sum + right[k] / either[k], 0) / occurring.length;
}

/** k-means on rows of length one: the group of each row, 0 for the largest group. The same start gives the same groups. */
function kMeans(values, n, d, k, rounds = 20) {
  const unit = unitRows(values, n, d), group = new Uint8Array(n), far = new Float64Array(n).fill(2);
  let centers = new Float64Array(k * d), at = n >> 1, state = 1;
  for (let j = 0; j < k; j++) {  // k-means++: every further center is a row drawn by its distance to those before it
    centers.set(unit.subarray(at * d, at * d + d), j * d);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += far[i] = Math.max(0, Math.min(far[i], 1 - product(unit, i, centers, j, d)));
    state = state * 48271 % 2147483647;  // the next number of Lehmer's generator
    let rest = sum * state / 2147483647;
    for (at = 0; at < n - 1 && (rest -= far[at]) > 0;) at++;
  }
  for (let round = 0, moved = true; moved && round < rounds; round++) {
    moved = false;
    const sums = new Float64Array(k * d);
    for (let i = 0; i < n; i++) {
      let first = 0, top = -Infinity;
      for (let j = 0; j < k; j++) {
        const found = product(unit, i, centers, j, d);
        if (found > top) { top = found; first = j; }
      }
      moved ||= first !== group[i];
      group[i] = first;
      for (let e = 0; e < d; e++) sums[first * d + e] += unit[i * d + e];
    }
    centers = unitRows(sums, k, d);
  }
  const sizes = new Uint32Array(k), order = [...sizes.keys()];
  group.forEach((g) => sizes[g]++);
  order.sort((a, b) => sizes[b] - sizes[a]);
  return group.map((g) => order.indexOf(g));
}

/** Three principal axes as red, green and blue, from percentile 2 to 98: bytes [n, 3]. The signs are those of `fit_pca`. */
function principalColors(values, n, d) {
  const mean = new Float64Array(d), spread = new Float64Array(d * d), colors = new Uint8ClampedArray(3 * n), axes = [];
  for (let i = 0; i < n; i++) for (let e = 0; e < d; e++) mean[e] += values[i * d + e] / n;
  for (let i = 0; i < n; i++) for (let e = 0; e < d; e++) {
    const a = values[i * d + e] - mean[e];
    for (let f = 0; f < d; f++) spread[e * d + f] += a * (values[i * d + f] - mean[f]);
  }
  for (let k = 0; k < 3; k++) {
    axes.push(strongest(spread, d, axes));
    const along = Float64Array.from({ length: n }, (_, i) => product(values, i, axes[k], 0, d));
    const sorted = along.slice().sort(), low = sorted[Math.round(0.02 * (n - 1))], high = sorted[Math.round(0.98 * (n - 1))];
    along.forEach((value, i) => { colors[3 * i + k] = 255 * (value - low) / Math.max(high - low, 1e-12); });
  }
  return colors;
}

/** The direction that a symmetric matrix [d, d] stretches most, at right angles to those found before. */
function strongest(matrix, d, before) {
  let axis = Float64Array.from({ length: d }, (_, e) => Math.sin(e + 1));
  for (let step = 0; step < 100; step++) {
    const next = Float64Array.from({ length: d }, (_, e) => product(matrix, e, axis, 0, d));
    for (const other of before) {
      const part = product(next, 0, other, 0, d);
      next.forEach((_, e) => { next[e] -= part * other[e]; });
    }
    axis = unitRows(next, 1, d);
  }
  const largest = axis.reduce((top, value) => (Math.abs(value) > Math.abs(top) ? value : top), 0);
  return axis.map((value) => value * Math.sign(largest));
}
