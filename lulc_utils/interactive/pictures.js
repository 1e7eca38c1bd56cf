// A reader's picture: checked, made small enough, and cut to whole patches. It never leaves the page.

const KINDS = ["image/png", "image/jpeg", "image/webp"], MOST_BYTES = 30e6, LEAST_SIDE = 64;

/** What is wrong with a file, in one sentence that never repeats its name; "" when it may be a picture. */
function complaint(file) {
  if (!KINDS.includes(file.type)) return "This is not a PNG, JPEG or WebP picture; save it as one of these first.";
  if (file.size > MOST_BYTES) return `This file is larger than ${MOST_BYTES / 1e6} MB; make the picture smaller first.`;
  return "";
}

/** A canvas with the picture, `longest` pixels at most, as whole or only its middle at full size; whole patches. */
function prepared(image, longest, patch, middle) {
  const { width, height } = image, scale = middle ? 1 : Math.min(1, longest / Math.max(width, height));
  const whole = (side) => Math.floor(Math.min(side * scale, longest) / patch + 1e-6) * patch;
  const [w, h] = [whole(width), whole(height)];
  if (Math.min(w, h) < LEAST_SIDE) {
    throw new Error(`This picture is too small or too narrow: ${LEAST_SIDE} pixels are needed on each side.`);
  }
  const canvas = element("canvas", { width: w, height: h });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";  // under what is transparent
  context.fillRect(0, 0, w, h);
  context.drawImage(image, (width - w / scale) / 2, (height - h / scale) / 2, w / scale, h / scale, 0, 0, w, h);
  return canvas;
}

/** Mean and deviation of red, green and blue in every patch: features without a network. */
function rawColor(canvas, patch) {
  const { width, height } = canvas, cols = width / patch, rows = height / patch, d = 6;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height), values = new Float32Array(rows * cols * d);
  for (let i = 0; i < rows * cols; i++) for (let c = 0; c < 3; c++) {
    let sum = 0, square = 0;
    for (let p = 0; p < patch * patch; p++) {
      const y = Math.floor(i / cols) * patch + Math.floor(p / patch), x = (i % cols) * patch + p % patch;
      const value = data[(y * width + x) * 4 + c] / 255;
      sum += value / patch ** 2;
      square += value ** 2 / patch ** 2;
    }
    values[i * d + c] = sum;
    values[i * d + 3 + c] = Math.sqrt(Math.max(square - sum ** 2, 0));
  }
  return { values, rows, cols, d };
}
