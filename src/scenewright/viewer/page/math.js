// Vectors are arrays of three numbers; matrices are column-major arrays of sixteen, as WebGL takes them.

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const mul = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const length = (a) => Math.hypot(a[0], a[1], a[2]);
const unit = (a) => mul(a, 1 / (length(a) || 1));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const mix = (a, b, s) => (Array.isArray(a) ? a.map((x, i) => x + (b[i] - x) * s) : a + (b - a) * s);

function perspective(fovY, aspect, near, far) {
  const f = 1 / Math.tan(fovY / 2);
  const d = 1 / (near - far);
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (near + far) * d, -1, 0, 0, 2 * near * far * d, 0];
}

function lookAt(eye, target, up) {
  const back = unit(sub(eye, target));
  const right = unit(cross(up, back));
  const top = cross(back, right);
  return [
    right[0], top[0], back[0], 0,
    right[1], top[1], back[1], 0,
    right[2], top[2], back[2], 0,
    -dot(right, eye), -dot(top, eye), -dot(back, eye), 1,
  ];
}

function multiply(a, b) {
  const result = new Array(16);
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[4 * k + row] * b[4 * column + k];
      result[4 * column + row] = sum;
    }
  }
  return result;
}

// A pose is the first three rows of T_world_cam, row by row: x right, y down, z forward.
const poseCentre = (pose) => [pose[3], pose[7], pose[11]];
const poseAxis = (pose, axis) => [pose[axis], pose[4 + axis], pose[8 + axis]];
const poseApply = (pose, p) => [0, 1, 2].map((r) => pose[4 * r] * p[0] + pose[4 * r + 1] * p[1] + pose[4 * r + 2] * p[2] + pose[4 * r + 3]);

// The nearest of 1, 2 and 5 times a power of ten that is not above x.
function niceBelow(x) {
  const decade = 10 ** Math.floor(Math.log10(x));
  return decade * ([5, 2, 1].find((step) => step * decade <= x * (1 + 1e-9)) || 1);
}

const formatLength = (x, symbol) => `${x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x >= 0.1 ? x.toFixed(2) : x.toPrecision(2)} ${symbol}`;
