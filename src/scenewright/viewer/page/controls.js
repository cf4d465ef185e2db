// An orbit camera: it looks at a target from an azimuth, an elevation and a distance, and keeps the horizon level.

class Orbit {
  constructor(up, home) {
    this.up = unit(up);
    const side = Math.abs(this.up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    this.east = unit(cross(side, this.up));
    this.north = cross(this.up, this.east);
    this.home = home;
    this.radius = home.radius;
    this.set(this.homeState());
  }

  homeState() {
    return { ...this.anglesOf(this.home.direction), target: this.home.centre, distance: this.home.radius / Math.sin(0.36), fov: 0.75 };
  }

  // The state that looks along a pose, at a point `depth` in front of it.
  poseState(pose, depth, fov) {
    const forward = poseAxis(pose, 2);
    return { ...this.anglesOf(mul(forward, -1)), target: add(poseCentre(pose), mul(forward, depth)), distance: depth, fov };
  }

  anglesOf(direction) {
    const d = unit(direction);
    return { azimuth: Math.atan2(dot(d, this.north), dot(d, this.east)), elevation: Math.asin(clamp(dot(d, this.up), -0.999, 0.999)) };
  }

  get state() {
    const { azimuth, elevation, target, distance, fov } = this;
    return { azimuth, elevation, target, distance, fov };
  }

  set(state) {
    Object.assign(this, state);
    this.elevation = clamp(this.elevation, -1.55, 1.55);
    this.distance = clamp(this.distance, this.radius * 0.005, this.radius * 30);
  }

  // A step s in 0..1 of the way from one state to another, the short way round.
  blend(from, to, s) {
    const turn = ((to.azimuth - from.azimuth + 3 * Math.PI) % (2 * Math.PI)) - Math.PI;
    this.set({
      azimuth: from.azimuth + turn * s,
      elevation: mix(from.elevation, to.elevation, s),
      target: mix(from.target, to.target, s),
      distance: Math.exp(mix(Math.log(from.distance), Math.log(to.distance), s)),
      fov: mix(from.fov, to.fov, s),
    });
  }

  get outward() {
    const flat = add(mul(this.east, Math.cos(this.azimuth)), mul(this.north, Math.sin(this.azimuth)));
    return add(mul(flat, Math.cos(this.elevation)), mul(this.up, Math.sin(this.elevation)));
  }

  get eye() {
    return add(this.target, mul(this.outward, this.distance));
  }

  // On a tall screen the field of view holds for the width.
  verticalFov(aspect) {
    return aspect >= 1 ? this.fov : 2 * Math.atan(Math.tan(this.fov / 2) / aspect);
  }

  view(aspect) {
    const { eye } = this;
    const far = this.distance + 8 * this.radius + length(sub(this.target, this.home.centre));
    const near = Math.max(this.distance * 0.02, far * 1e-4);
    const matrix = multiply(perspective(this.verticalFov(aspect), aspect, near, far), lookAt(eye, this.target, this.up));
    return { matrix, eye, up: this.up };
  }

  unitsPerPixel(height, aspect) {
    return (2 * this.distance * Math.tan(this.verticalFov(aspect) / 2)) / height;
  }

  rotate(dx, dy) {
    this.set({ azimuth: this.azimuth - dx, elevation: this.elevation + dy });
  }

  pan(dx, dy) {
    const right = unit(cross(this.up, this.outward));
    const top = cross(this.outward, right);
    this.target = add(this.target, add(mul(right, -dx), mul(top, dy)));
  }

  zoom(factor) {
    this.set({ distance: this.distance * factor });
  }

  // The direction of the ray through a point of the picture, x and y in -1..1.
  ray(x, y, aspect) {
    const t = Math.tan(this.verticalFov(aspect) / 2);
    const right = unit(cross(this.up, this.outward));
    const top = cross(this.outward, right);
    return unit(add(mul(this.outward, -1), add(mul(right, x * t * aspect), mul(top, y * t))));
  }
}

// Mouse, pen, touch and keys of one canvas. `on.change()` after each move, `on.tap(x, y, double)` for clicks.
function attachControls(canvas, orbit, on) {
  const pointers = new Map();
  let moved = 0;
  let lastTap = 0;
  const scale = () => orbit.unitsPerPixel(canvas.clientHeight, canvas.clientWidth / canvas.clientHeight);
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, gap: Math.max(10, Math.hypot(a.x - b.x, a.y - b.y)) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = pointers.size > 1 ? Infinity : 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const before = pointers.size === 2 ? spread() : null;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved += Math.hypot(dx, dy);
    if (before) {
      const after = spread();
      orbit.zoom(before.gap / after.gap);
      orbit.pan((after.x - before.x) * scale(), (after.y - before.y) * scale());
    } else if (event.buttons & 6 || event.shiftKey) orbit.pan(dx * scale(), dy * scale());
    else orbit.rotate(dx * 0.006, dy * 0.006);
    on.change();
  });
  canvas.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (moved < 5 && event.button === 0) {
      on.tap(event.offsetX, event.offsetY, event.timeStamp - lastTap < 350);
      lastTap = event.timeStamp;
    }
  });
  canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    orbit.zoom(Math.exp(clamp(event.deltaY * (event.deltaMode ? 20 : 1), -200, 200) * 0.0012));
    on.change();
  }, { passive: false });

  const keys = {
    ArrowLeft: () => orbit.rotate(-0.08, 0), ArrowRight: () => orbit.rotate(0.08, 0),
    ArrowUp: () => orbit.rotate(0, 0.08), ArrowDown: () => orbit.rotate(0, -0.08),
    "+": () => orbit.zoom(0.9), "=": () => orbit.zoom(0.9), "-": () => orbit.zoom(1.1),
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
    on.change();
  });
}
