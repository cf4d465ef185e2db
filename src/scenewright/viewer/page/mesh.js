// The mesh as the page carries it: bytes in base64, positions in 16 bits of its box.

function decodeBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function readMesh(facts, verticesText, indicesText) {
  const palette = new Float32Array(96);
  facts.palette.slice(0, 32).forEach((colour, i) => palette.set(colour.map((x) => x / 255), 3 * i));
  return {
    vertices: decodeBase64(verticesText),
    indices: new Uint32Array(decodeBase64(indicesText).buffer),
    origin: facts.origin,
    extent: facts.extent,
    palette,
  };
}

function meshPositions(mesh) {
  if (!mesh.positions) {
    const codes = new Uint16Array(mesh.vertices.buffer);
    const count = codes.length / 8;
    mesh.positions = new Float32Array(3 * count);
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < 3; k++) mesh.positions[3 * i + k] = mesh.origin[k] + (codes[8 * i + k] / 65535) * mesh.extent[k];
    }
  }
  return mesh.positions;
}

// The first surface point along a ray, or null (Moeller and Trumbore 1997); back faces are passed through if `cull`.
function castRay(mesh, eye, direction, cull) {
  const p = meshPositions(mesh);
  const { indices } = mesh;
  const [dx, dy, dz] = direction;
  let nearest = Infinity;
  for (let i = 0; i < indices.length; i += 3) {
    const a = 3 * indices[i], b = 3 * indices[i + 1], c = 3 * indices[i + 2];
    const ax = p[a], ay = p[a + 1], az = p[a + 2];
    const ux = p[b] - ax, uy = p[b + 1] - ay, uz = p[b + 2] - az;
    const vx = p[c] - ax, vy = p[c + 1] - ay, vz = p[c + 2] - az;
    const hx = dy * vz - dz * vy, hy = dz * vx - dx * vz, hz = dx * vy - dy * vx;
    const det = ux * hx + uy * hy + uz * hz;
    if (cull ? det < 1e-12 : Math.abs(det) < 1e-12) continue;
    const sx = eye[0] - ax, sy = eye[1] - ay, sz = eye[2] - az;
    const u = (sx * hx + sy * hy + sz * hz) / det;
    if (u < 0 || u > 1) continue;
    const qx = sy * uz - sz * uy, qy = sz * ux - sx * uz, qz = sx * uy - sy * ux;
    const v = (dx * qx + dy * qy + dz * qz) / det;
    if (v < 0 || u + v > 1) continue;
    const t = (vx * qx + vy * qy + vz * qz) / det;
    if (t > 1e-6 && t < nearest) nearest = t;
  }
  return nearest < Infinity ? add(eye, mul(direction, nearest)) : null;
}
