// The page: reads its data, draws the scene, and ties pictures, charts and the 3-D view together.

const byId = (id) => document.getElementById(id);
const SCENE = JSON.parse(byId("scene-data").textContent);
const ACCENT = [255, 122, 26, 255];
const PATH = [...SCENE.lines.path, 255];
const TRUTH = [...SCENE.lines.truth, 255];
const FRUSTUM = [...SCENE.lines.frusta, 230];

const settings = { mode: "colour", path: true, frusta: true, truth: true, cull: true, keyframe: null, measure: false };
const TOGGLES = ["path", "frusta", "truth", "cull"];

// State in the address, so that a view can be linked to: #labels=1&path=0&keyframe=3
function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (words.get("labels") === "1" && SCENE.labelled) settings.mode = "labels";
  if (words.get("shape") === "1") settings.mode = "shape";
  for (const name of TOGGLES) if (words.has(name)) settings[name] = words.get(name) !== "0";
  const id = Number(words.get("keyframe"));
  const position = words.has("keyframe") ? SCENE.keyframes.findIndex((keyframe) => keyframe.id === id) : -1;
  settings.keyframe = position >= 0 ? position : null;
}

function writeAddress() {
  const words = [];
  if (settings.mode !== "colour") words.push(`${settings.mode}=1`);
  for (const name of TOGGLES) if (!settings[name]) words.push(`${name}=0`);
  if (settings.keyframe !== null) words.push(`keyframe=${SCENE.keyframes[settings.keyframe].id}`);
  history.replaceState(null, "", words.length ? `#${words.join("&")}` : location.pathname + location.search);
}

// Lines

function frustum(pose, lens, size, colour) {
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => [
    ((x * lens.width - 0.5 - lens.cx) / lens.fx) * size, ((y * lens.height - 0.5 - lens.cy) / lens.fy) * size, size]);
  const centre = poseCentre(pose);
  const world = corners.map((corner) => poseApply(pose, corner));
  return world.flatMap((corner, i) => [[centre, corner, colour], [corner, world[(i + 1) % 4], colour]]);
}

function polyline(points, colour) {
  const segments = [];
  for (let i = 1; i < points.length; i++) if (points[i - 1] && points[i]) segments.push([points[i - 1], points[i], colour]);
  return segments;
}

// The 3-D view

class View {
  constructor() {
    this.canvas = byId("canvas");
    this.mesh = readMesh(SCENE.mesh, byId("mesh-vertices").textContent, byId("mesh-indices").textContent);
    this.renderer = new Renderer(this.canvas, this.mesh);
    this.orbit = new Orbit(SCENE.up, SCENE.home);
    this.frustumSize = SCENE.home.radius * 0.06 * Math.min(1, Math.sqrt(20 / (SCENE.keyframes.length || 1)));
    this.points = [];
    this.setLines();
    attachControls(this.canvas, this.orbit, { change: () => this.moved(), tap: (x, y, double) => this.tap(x, y, double) });
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.renderer = new Renderer(this.canvas, this.mesh);
      this.setLines();
      this.redraw();
    });
    if (settings.keyframe !== null) this.orbit.set(this.keyframeState(settings.keyframe));
    this.redraw();
  }

  setLines() {
    const { renderer } = this;
    renderer.setLines("path", polyline(SCENE.path, PATH));
    renderer.setLines("truth", polyline(SCENE.truth, TRUTH));
    this.setFrusta();
    this.setMarker(null);
    this.setMeasure();
  }

  setFrusta() {
    const others = SCENE.keyframes.filter((_, i) => i !== settings.keyframe);
    this.renderer.setLines("frusta", others.flatMap((k) => frustum(k.pose, k.lens, this.frustumSize, FRUSTUM)));
    const chosen = SCENE.keyframes[settings.keyframe];
    this.renderer.setLines("chosen", chosen ? frustum(chosen.pose, chosen.lens, this.frustumSize * 1.6, ACCENT) : []);
  }

  // The frame under the pointer in a chart.
  setMarker(pose) {
    const lens = SCENE.keyframes.length ? SCENE.keyframes[0].lens : { width: 4, height: 3, fx: 3, fy: 3, cx: 1.5, cy: 1 };
    this.renderer.setLines("marker", pose ? frustum(pose, lens, this.frustumSize * 1.6, ACCENT) : []);
  }

  setMeasure() {
    const arm = this.frustumSize * 0.35;
    const crosses = this.points.flatMap((p) => [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) => [
      add(p, mul(axis, -arm)), add(p, mul(axis, arm)), ACCENT]));
    this.renderer.setLines("measure", [...crosses, ...polyline(this.points, ACCENT)]);
  }

  keyframeState(position) {
    const { pose, lens, depth } = SCENE.keyframes[position];
    const across = 2 * Math.atan(lens.width / 2 / lens.fx);
    const down = 2 * Math.atan(lens.height / 2 / lens.fy);
    return this.orbit.poseState(pose, depth, clamp(this.aspect >= 1 ? down : across, 0.2, 1.8));
  }

  get aspect() {
    return this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight);
  }

  fly(goal) {
    const start = this.orbit.state;
    const began = performance.now();
    const flight = (this.flight = {});
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.orbit.set(goal);
      this.redraw();
      return;
    }
    const step = (now) => {
      if (this.flight !== flight) return;
      const s = clamp((now - began) / 450, 0, 1);
      this.orbit.blend(start, goal, s * s * (3 - 2 * s));
      this.redraw();
      if (s < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  moved() {
    this.flight = null;
    this.redraw();
  }

  // A tap measures, a double tap makes the point the new centre of rotation.
  tap(x, y, double) {
    const { clientWidth, clientHeight } = this.canvas;
    if (!settings.measure && !double) return;
    const direction = this.orbit.ray((2 * x) / clientWidth - 1, 1 - (2 * y) / clientHeight, this.aspect);
    const hit = castRay(this.mesh, this.orbit.eye, direction, settings.cull);
    if (!hit) return;
    if (settings.measure) {
      this.points = this.points.length === 2 ? [hit] : [...this.points, hit];
      this.setMeasure();
      this.redraw();
    } else this.fly({ ...this.orbit.state, target: hit, distance: this.orbit.distance * 0.7 });
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    const { canvas } = this;
    const pixelRatio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((x) => Math.max(1, Math.round(x * pixelRatio)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const background = getComputedStyle(canvas).backgroundColor.match(/[\d.]+/g).slice(0, 3).map((x) => x / 255);
    const layers = { marker: 3, chosen: 2.5, measure: 2.5 };
    if (settings.frusta) layers.frusta = 1.5;
    if (settings.truth) layers.truth = 2;
    if (settings.path) layers.path = 3;
    const view = this.orbit.view(this.aspect);
    this.renderer.draw(view, { background, mode: settings.mode, cull: settings.cull, pixelRatio, layers });
    this.drawScaleBar();
    this.drawMeasure(view);
  }

  drawScaleBar() {
    const perPixel = this.orbit.unitsPerPixel(this.canvas.clientHeight, this.aspect);
    const value = niceBelow(140 * perPixel);
    byId("scale-bar-line").style.width = `${value / perPixel}px`;
    byId("scale-bar-text").textContent = `${Number(value.toPrecision(1))} ${SCENE.symbol}`;
  }

  drawMeasure(view) {
    const label = byId("measure-text");
    label.hidden = this.points.length !== 2;
    if (label.hidden) return;
    const [x, y, z] = mix(this.points[0], this.points[1], 0.5);
    const m = view.matrix;
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    const px = (m[0] * x + m[4] * y + m[8] * z + m[12]) / w;
    const py = (m[1] * x + m[5] * y + m[9] * z + m[13]) / w;
    label.hidden = w <= 0;
    label.style.left = `${(px + 1) * 50}%`;
    label.style.top = `${(1 - py) * 50}%`;
    label.textContent = formatLength(length(sub(this.points[0], this.points[1])), SCENE.symbol);
  }
}

// The controls around the view

function showSettings() {
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", button.dataset.mode === settings.mode);
  for (const name of TOGGLES) {
    const box = byId(`toggle-${name}`);
    if (box) box.checked = settings[name];
  }
  byId("measure").setAttribute("aria-pressed", settings.measure);
  byId("legend").hidden = settings.mode !== "labels";
  document.querySelectorAll("[data-keyframe]").forEach((button) => {
    button.setAttribute("aria-current", Number(button.dataset.keyframe) === settings.keyframe);
  });
  byId("hint").textContent = settings.measure ? "Click two points on the surface to measure the distance between them" : byId("hint").dataset.text;
}

function attachToolbar(view) {
  const changed = () => {
    showSettings();
    writeAddress();
    if (view) view.redraw();
  };
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => {
      settings.mode = button.dataset.mode;
      changed();
    });
  }
  for (const name of TOGGLES) {
    const box = byId(`toggle-${name}`);
    if (box) box.addEventListener("change", () => {
      settings[name] = box.checked;
      changed();
    });
  }
  byId("reset").addEventListener("click", () => chooseKeyframe(view, null));
  byId("measure").addEventListener("click", () => {
    settings.measure = !settings.measure;
    view.points = [];
    view.setMeasure();
    changed();
  });
  byId("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else byId("stage").requestFullscreen();
  });
  document.querySelectorAll("[data-keyframe]").forEach((button) => {
    button.addEventListener("click", () => chooseKeyframe(view, Number(button.dataset.keyframe)));
  });
  changed();
}

function chooseKeyframe(view, position) {
  settings.keyframe = position;
  showSettings();
  writeAddress();
  showInset();
  if (!view) return;
  view.setFrusta();
  view.fly(position === null ? view.orbit.homeState() : view.keyframeState(position));
  if (position !== null) byId("stage").scrollIntoView({ behavior: "smooth", block: "nearest" });
}

// The chosen keyframe's photograph, to hold against the model.
function showInset() {
  const inset = byId("inset");
  const button = settings.keyframe === null ? null : document.querySelector(`[data-keyframe="${settings.keyframe}"]`);
  inset.hidden = !button;
  if (button) byId("inset-picture").src = button.querySelector("img").src;
}

// Charts: one cursor through all of them, and the frame's camera in the view

function attachCharts(view) {
  const charts = [...document.querySelectorAll("svg[data-chart]")];
  const { time, axis, status, values } = SCENE.frames;
  if (!charts.length || !time.length) return;
  const show = (i) => {
    for (const svg of charts) {
      const { left, right, start, end } = svg.dataset;
      const x = Number(left) + ((time[i] - start) / (end - start || 1)) * (right - left);
      const cursor = svg.querySelector(".cursor");
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.classList.add("shown");
      const value = values[svg.dataset.chart][i];
      const text = value === null ? "no value" : `${value} ${svg.dataset.unit}`;
      byId(`readout-${svg.dataset.chart}`).textContent = `${axis === "s" ? `${time[i].toFixed(2)} s` : `frame ${time[i]}`}: ${text}, ${status[i]}`;
    }
    if (!view) return;
    view.setMarker(SCENE.frames.pose[i]);
    view.redraw();
  };
  const hide = () => {
    for (const svg of charts) {
      svg.querySelector(".cursor").classList.remove("shown");
      byId(`readout-${svg.dataset.chart}`).textContent = "";
    }
    if (!view) return;
    view.setMarker(null);
    view.redraw();
  };
  for (const svg of charts) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const { left, right, start, end } = svg.dataset;
      show(nearest(time, Number(start) + ((x - left) / (right - left)) * (end - start)));
    });
    svg.addEventListener("pointerleave", hide);
  }
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle;
    else high = middle;
  }
  return Math.abs(sorted[low] - value) <= Math.abs(sorted[high] - value) ? low : high;
}

function start() {
  readAddress();
  let view = null;
  try {
    view = new View();
  } catch (error) {
    byId("no-3d").hidden = false;
    byId("no-3d-reason").textContent = error.message;
    for (const control of byId("stage").querySelectorAll("button, input")) control.disabled = true;
  }
  attachToolbar(view);
  attachCharts(view);
  showInset();
  byId("inset-close").addEventListener("click", () => {
    byId("inset").hidden = true;
  });
  addEventListener("hashchange", () => {
    Object.assign(settings, { mode: "colour", path: true, frusta: true, truth: true, cull: true });
    readAddress();
    showSettings();
    chooseKeyframe(view, settings.keyframe);
  });
}

start();
