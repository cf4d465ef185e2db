// Draws the mesh and the lines with WebGL 2. Nothing is drawn unless something changed.

const MESH_VERTEX = `#version 300 es
layout(location = 0) in vec4 a_place;   // 16-bit position in the mesh's box, and the label
layout(location = 1) in vec4 a_colour;
layout(location = 2) in vec4 a_normal;
uniform mat4 u_view;
uniform vec3 u_origin, u_extent;
uniform vec3 u_palette[32];
uniform float u_pointSize;
out vec3 v_position, v_normal, v_colour, v_label;
void main() {
  v_position = u_origin + a_place.xyz * u_extent;
  v_normal = a_normal.xyz;
  v_colour = a_colour.rgb;
  v_label = u_palette[min(int(a_place.w * 65535.0 + 0.5), 31)];
  gl_Position = u_view * vec4(v_position, 1.0);
  gl_PointSize = u_pointSize;
}`;

const MESH_FRAGMENT = `#version 300 es
precision highp float;
in vec3 v_position, v_normal, v_colour, v_label;
uniform vec3 u_eye, u_up;
uniform int u_mode;                     // 0 colour, 1 labels, 2 shape
uniform bool u_shaded;
out vec4 colour;
void main() {
  vec3 towards = normalize(u_eye - v_position);
  vec3 normal = normalize(v_normal + 1e-6);
  float facing = u_shaded ? abs(dot(normal, towards)) : 1.0;
  float sky = u_shaded ? 0.5 + 0.5 * dot(normal, u_up) : 1.0;
  float light = 0.55 + 0.3 * facing + 0.15 * sky;
  float luma = dot(v_colour, vec3(0.299, 0.587, 0.114));
  vec3 base = u_mode == 1 ? v_label * (0.8 + 0.4 * luma) : vec3(0.82, 0.83, 0.85);
  // a photograph brings its own light: shade it just enough to show the shape
  colour = vec4(u_mode == 0 ? v_colour * mix(1.0, light, 0.35) : base * light, 1.0);
}`;

// Every line is a rectangle of u_width pixels around its segment; the part behind the eye is cut off first.
const LINE_VERTEX = `#version 300 es
layout(location = 0) in vec3 a_from;
layout(location = 1) in vec3 a_to;
layout(location = 2) in vec4 a_colour;
uniform mat4 u_view;
uniform vec2 u_size;
uniform float u_width, u_alpha;
out vec4 v_colour;
void main() {
  vec4 from = u_view * vec4(a_from, 1.0), to = u_view * vec4(a_to, 1.0);
  float near = 1e-4;
  if (from.w < near && to.w >= near) from = mix(from, to, (near - from.w) / (to.w - from.w));
  if (to.w < near && from.w >= near) to = mix(to, from, (near - to.w) / (from.w - to.w));
  vec2 a = from.xy / from.w * u_size, b = to.xy / to.w * u_size;
  vec2 along = distance(a, b) > 1e-6 ? normalize(b - a) : vec2(1.0, 0.0);
  vec4 end = (gl_VertexID & 1) == 0 ? from : to;
  float side = (gl_VertexID & 2) == 0 ? 1.0 : -1.0;
  vec2 offset = (vec2(-along.y, along.x) * side + along * ((gl_VertexID & 1) == 0 ? -0.4 : 0.4)) * u_width;
  gl_Position = end + vec4(offset / u_size * end.w, 0.0, 0.0);
  v_colour = vec4(a_colour.rgb, a_colour.a * u_alpha);
}`;

const LINE_FRAGMENT = `#version 300 es
precision mediump float;
in vec4 v_colour;
out vec4 colour;
void main() { colour = vec4(v_colour.rgb * v_colour.a, v_colour.a); }`;

const MODES = { colour: 0, labels: 1, shape: 2 };

class Renderer {
  constructor(canvas, mesh) {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("no WebGL 2");
    this.gl = gl;
    this.canvas = canvas;
    this.mesh = mesh;
    this.lines = {};
    this.meshProgram = this.program(MESH_VERTEX, MESH_FRAGMENT);
    this.lineProgram = this.program(LINE_VERTEX, LINE_FRAGMENT);
    this.meshArray = this.uploadMesh();
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.DEPTH_TEST);
  }

  program(vertexSource, fragmentSource) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, fragmentSource]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "WebGL 2 failed");
    const uniforms = {};
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
    for (let i = 0; i < count; i++) {
      const name = gl.getActiveUniform(program, i).name;
      uniforms[name.replace("[0]", "")] = gl.getUniformLocation(program, name);
    }
    return { program, uniforms };
  }

  uploadMesh() {
    const { gl, mesh } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, mesh.vertices, gl.STATIC_DRAW);
    const layout = [[gl.UNSIGNED_SHORT, 0], [gl.UNSIGNED_BYTE, 8], [gl.BYTE, 12]];
    layout.forEach(([type, offset], location) => {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, 4, type, true, 16, offset);
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.indices, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    return array;
  }

  // segments: [[from, to, [r, g, b, a]], ...] with colours in 0..255
  setLines(name, segments) {
    const { gl } = this;
    const data = new ArrayBuffer(28 * segments.length);
    const floats = new Float32Array(data);
    const bytes = new Uint8Array(data);
    segments.forEach(([from, to, colour], i) => {
      floats.set([...from, ...to], 7 * i);
      bytes.set(colour, 28 * i + 24);
    });
    let line = this.lines[name];
    if (!line) {
      line = this.lines[name] = { array: gl.createVertexArray(), buffer: gl.createBuffer() };
      gl.bindVertexArray(line.array);
      gl.bindBuffer(gl.ARRAY_BUFFER, line.buffer);
      [[3, gl.FLOAT, false, 0], [3, gl.FLOAT, false, 12], [4, gl.UNSIGNED_BYTE, true, 24]].forEach(([size, type, norm, offset], i) => {
        gl.enableVertexAttribArray(i);
        gl.vertexAttribPointer(i, size, type, norm, 28, offset);
        gl.vertexAttribDivisor(i, 1);
      });
    }
    line.count = segments.length;
    gl.bindBuffer(gl.ARRAY_BUFFER, line.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    gl.bindVertexArray(null);
  }

  // view: {matrix, eye, up}; look: {background, mode, cull, layers: {name: width in px}}
  draw(view, look) {
    const { gl, canvas } = this;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(...look.background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.drawMesh(view, look);
    this.drawLines(view, look);
  }

  drawMesh(view, look) {
    const { gl, mesh } = this;
    const { program, uniforms } = this.meshProgram;
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniforms.u_view, false, view.matrix);
    gl.uniform3fv(uniforms.u_origin, mesh.origin);
    gl.uniform3fv(uniforms.u_extent, mesh.extent);
    gl.uniform3fv(uniforms.u_palette, mesh.palette);
    gl.uniform3fv(uniforms.u_eye, view.eye);
    gl.uniform3fv(uniforms.u_up, view.up);
    gl.uniform1i(uniforms.u_mode, MODES[look.mode]);
    gl.uniform1i(uniforms.u_shaded, mesh.indices.length ? 1 : 0);
    gl.uniform1f(uniforms.u_pointSize, 2.5 * look.pixelRatio);
    gl.disable(gl.BLEND);
    (look.cull ? gl.enable : gl.disable).call(gl, gl.CULL_FACE);
    gl.bindVertexArray(this.meshArray);
    if (mesh.indices.length) gl.drawElements(gl.TRIANGLES, mesh.indices.length, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, mesh.vertices.byteLength / 16);
  }

  // Once where the lines are in front of the surface, once faintly where they are behind it.
  drawLines(view, look) {
    const { gl, canvas } = this;
    const { program, uniforms } = this.lineProgram;
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniforms.u_view, false, view.matrix);
    gl.uniform2f(uniforms.u_size, canvas.width / 2, canvas.height / 2);
    gl.disable(gl.CULL_FACE);
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    for (const [compare, alpha] of [[gl.GREATER, 0.22], [gl.LEQUAL, 1]]) {
      gl.depthFunc(compare);
      gl.uniform1f(uniforms.u_alpha, alpha);
      for (const [name, width] of Object.entries(look.layers)) {
        const line = this.lines[name];
        if (!line || !line.count) continue;
        gl.uniform1f(uniforms.u_width, 0.5 * width * look.pixelRatio);
        gl.bindVertexArray(line.array);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, line.count);
      }
    }
    gl.depthMask(true);
    gl.depthFunc(gl.LEQUAL);
    gl.bindVertexArray(null);
  }
}
