"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");
const panel = document.getElementById("panel"), $ = id => document.getElementById(id);
const COLOURS = {input: ["#e3f0ff", "#3b73b9"], constant: ["#f2f2f2", "#8a8a8a"], node: ["#ffffff", "#444444"],
  output: ["#e5f6e5", "#3d8b40"], backward: ["#fff0ea", "#c2552d"], group: ["#f4eefc", "#7046a8"]};
const LINE = 17, CHARACTER = 7.3, PANEL = 340, BAR = 48;
const originals = new Map(data.vertices.map(v => [v.key, v]));
const incoming = new Map(), outgoing = new Map(), derived = new Map();
for (const v of data.vertices) { incoming.set(v.key, []); outgoing.set(v.key, []); }
for (const e of data.edges) { incoming.get(e.head).push(e); outgoing.get(e.tail).push(e); }
for (const v of data.vertices) if (v.origin) {
  if (!derived.has(v.origin)) derived.set(v.origin, []);
  derived.get(v.origin).push(v.key);
}
let scene, view = {x: 0, y: 0, scale: 1}, selected = null, matches = new Set(), opened = new Set(), waiting = false;

// What is shown: the vertices, or groups of them.
function groupOf(v, mode) {
  const own = mode === "line" ? v.source : mode === "function" ? v.function : v.inside;
  if (mode === "none" || !own || opened.has(own)) return null;
  if (mode === "body") return own;
  return v.kind === "node" ? own : null;
}

function textOf(v) {
  const lines = [[v.title, "#1c1c1c", true]];
  if (v.value && v.kind !== "constant") lines.push(["= " + v.value, "#1c1c1c", false]);
  else if (v.kind !== "constant" && v.type && v.type !== "f64[]") lines.push([v.type, "#666666", false]);
  if (v.adjoint) lines.push(["∂ = " + v.adjoint, "#b3261e", false]);
  return lines.map(([text, colour, bold]) => [text.length > 46 ? text.slice(0, 45) + "…" : text, colour, bold]);
}

function sizeOf(lines) {
  const longest = Math.max(...lines.map(line => line[0].length * (line[2] ? 1.12 : 1)));
  return [Math.max(40, longest * CHARACTER + 18), lines.length * LINE + 12];
}

function bodyOwner(key, mode) {
  // A folded body is part of the vertex that owns it, and so on outwards.
  let v = originals.get(key);
  while (mode === "body" && v.inside && !opened.has(v.inside)) v = originals.get(v.inside);
  return v.key;
}

function build() {
  const mode = $("fold").value, items = [], index = new Map(), place = new Map();
  for (const v of data.vertices) {
    const group = mode === "body" ? null : groupOf(v, mode);
    const key = mode === "body" ? bodyOwner(v.key, mode) : group === null ? v.key : "group:" + group;
    if (!index.has(key)) {
      const shown = group === null ? originals.get(key) : {key, title: group, kind: "group", type: "", members: []};
      index.set(key, items.length);
      items.push({vertex: shown, members: [], lines: null});
    }
    const item = items[index.get(key)];
    item.members.push(v.key);
    place.set(v.key, index.get(key));
  }
  for (const item of items) {
    if (item.vertex.kind === "group") {
      const code = originals.get(item.members[0]).line;
      item.lines = [[item.vertex.title, "#1c1c1c", true], [item.members.length + " nodes", "#666666", false]];
      if (mode === "line" && code) item.lines.push([code.length > 44 ? code.slice(0, 43) + "…" : code, "#444444", false]);
    } else {
      item.lines = textOf(item.vertex);
      if (item.members.length > 1) item.lines.push([item.members.length - 1 + " inside", "#7046a8", false]);
    }
  }
  const joined = new Map();
  for (const e of data.edges) {
    const tail = place.get(e.tail), head = place.get(e.head), key = tail * items.length + head;
    if (tail === head) continue;
    if (joined.has(key)) joined.get(key).derivative = "";
    else joined.set(key, {tail, head, kind: e.kind, derivative: e.kind === "data" && e.derivative.length <= 18 &&
      e.derivative !== "linear map" ? e.derivative : ""});
  }
  const edges = [...joined.values()], sizes = items.map(item => sizeOf(item.lines));
  let layout;
  if (items.length === data.vertices.length && data.layout) layout = data.layout;
  else layout = layOut(sizes, edges.map(e => [e.tail, e.head]), LINE);
  items.forEach((item, k) => { [item.x, item.y] = layout.boxes[k]; [item.w, item.h] = sizes[k]; });
  edges.forEach((e, k) => {
    e.path = pathOf(items, e, layout.paths[k]);
    const [[x0, y0], [x1, y1]] = e.path;
    e.label = (layout.labels && layout.labels[k]) || [x0 + 0.3 * (x1 - x0), y0 + 0.38 * (y1 - y0) + 4];
  });
  scene = {items, edges, index, place, kernels: kernelBoxes(items, place)};
}

function pathOf(items, e, points) {
  const tail = items[e.tail], head = items[e.head], down = head.y >= tail.y;
  const path = points.map(point => point.slice());
  path[0] = [path[0][0], tail.y + (down ? tail.h : -tail.h) / 2];
  path[path.length - 1] = [path[path.length - 1][0], head.y - (down ? head.h : -head.h) / 2];
  return path;
}

function kernelBoxes(items, place) {
  return data.kernels.map((keys, number) => {
    const boxes = keys.filter(key => place.has(key)).map(key => items[place.get(key)]);
    return {number,
      left: Math.min(...boxes.map(b => b.x - b.w / 2)) - 9, right: Math.max(...boxes.map(b => b.x + b.w / 2)) + 9,
      top: Math.min(...boxes.map(b => b.y - b.h / 2)) - 9, bottom: Math.max(...boxes.map(b => b.y + b.h / 2)) + 9};
  }).filter(box => box.right > box.left);
}

// Drawing: only what is in sight, and text only where it can be read.
function draw() {
  waiting = false;
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, width, height);
  pen.translate(view.x, view.y);
  pen.scale(view.scale, view.scale);
  const sight = {left: -view.x / view.scale, top: -view.y / view.scale};
  sight.right = sight.left + width / view.scale;
  sight.bottom = sight.top + height / view.scale;
  if ($("kernels").checked) for (const box of scene.kernels) drawKernel(box);
  const near = selected === null ? null : related();
  if (view.scale < 0.25) drawFar(sight, near);
  else {
    for (const e of scene.edges) drawEdge(e, sight, near);
    for (const item of scene.items) drawItem(item, sight, near);
  }
  if (view.scale > 0.55) for (const e of scene.edges) drawLabel(e, sight);
}

// From afar edges are straight lines and vertices are rectangles, one path a colour.
function drawFar(sight, near) {
  pen.strokeStyle = "#b5b5b5";
  pen.lineWidth = 1 / view.scale;
  pen.beginPath();
  for (const {path, kind} of scene.edges) {
    const first = path[0], last = path[path.length - 1];
    if (Math.max(first[1], last[1]) < sight.top || Math.min(first[1], last[1]) > sight.bottom) continue;
    if (kind === "across" && view.scale < 0.1) continue;
    pen.moveTo(first[0], first[1]);
    for (let k = 1; k < path.length; k++) pen.lineTo(path[k][0], path[k][1]);
  }
  pen.stroke();
  const kinds = new Map();
  for (const item of scene.items) {
    const {x, y, w, h, vertex} = item;
    if (x + w / 2 < sight.left || x - w / 2 > sight.right || y + h / 2 < sight.top || y - h / 2 > sight.bottom) continue;
    if (vertex.key === selected || (near && near.has(scene.index.get(vertex.key))) || item.members.some(key => matches.has(key))) continue;
    const kind = vertex.side === "backward" && vertex.kind === "node" ? "backward" : vertex.kind;
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push(item);
  }
  for (const [kind, items] of kinds) {
    pen.fillStyle = COLOURS[kind][0];
    pen.strokeStyle = COLOURS[kind][1];
    pen.beginPath();
    for (const {x, y, w, h} of items) pen.rect(x - w / 2, y - h / 2, w, h);
    pen.fill();
    pen.stroke();
  }
  for (const item of scene.items)
    if (item.vertex.key === selected || (near && near.has(scene.index.get(item.vertex.key))) || item.members.some(key => matches.has(key)))
      drawItem(item, sight, near);
}

function drawKernel(box) {
  pen.fillStyle = "rgba(255,248,220,0.55)";
  pen.strokeStyle = "#c9a227";
  pen.lineWidth = 1;
  pen.setLineDash([5, 4]);
  pen.beginPath();
  pen.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, 10);
  pen.fill();
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = "#8a6d00";
  pen.font = "10px 'DejaVu Sans', Arial, sans-serif";
  pen.textAlign = "left";
  pen.fillText("kernel " + box.number, box.left + 6, box.top + 11);
}

function related() {
  const keys = new Set([selected]), item = scene.items[scene.index.get(selected)];
  for (const key of item ? item.members : []) {
    const v = originals.get(key);
    if (v.origin) keys.add(v.origin);
    for (const other of derived.get(key) || []) keys.add(other);
  }
  return new Set([...keys].map(key => scene.place.has(key) ? scene.place.get(key) : scene.index.get(key)));
}

function drawEdge(e, sight, near) {
  const path = e.path, first = path[0], last = path[path.length - 1];
  const [top, bottom] = first[1] < last[1] ? [first[1], last[1]] : [last[1], first[1]];
  if (bottom < sight.top || top > sight.bottom) return;
  let left = first[0], right = first[0];
  for (const point of path) { left = Math.min(left, point[0]); right = Math.max(right, point[0]); }
  if (right < sight.left || left > sight.right) return;
  const own = selected !== null && (e.tail === scene.index.get(selected) || e.head === scene.index.get(selected));
  pen.strokeStyle = own ? "#2659a5" : e.kind === "across" ? "#d8d8d8" : "#8a8a8a";
  pen.lineWidth = own ? 2 : 1;
  if (e.kind === "body") pen.setLineDash([3, 3]);
  pen.beginPath();
  pen.moveTo(first[0], first[1]);
  for (let k = 1; k < path.length; k++) {
    const middle = (path[k - 1][1] + path[k][1]) / 2;
    pen.bezierCurveTo(path[k - 1][0], middle, path[k][0], middle, path[k][0], path[k][1]);
  }
  pen.stroke();
  pen.setLineDash([]);
  if (view.scale < 0.25) return;
  const sign = last[1] >= first[1] ? 1 : -1;
  pen.fillStyle = pen.strokeStyle;
  pen.beginPath();
  pen.moveTo(last[0], last[1]);
  pen.lineTo(last[0] - 4, last[1] - 7 * sign);
  pen.lineTo(last[0] + 4, last[1] - 7 * sign);
  pen.fill();
}

function drawItem(item, sight, near) {
  const {x, y, w, h, vertex} = item;
  if (x + w / 2 < sight.left || x - w / 2 > sight.right || y + h / 2 < sight.top || y - h / 2 > sight.bottom) return;
  const kind = vertex.side === "backward" && vertex.kind === "node" ? "backward" : vertex.kind;
  const [fill, stroke] = COLOURS[kind], position = scene.index.get(vertex.key);
  const chosen = vertex.key === selected, found = item.members.some(key => matches.has(key));
  pen.fillStyle = found ? "#fff3a8" : fill;
  pen.strokeStyle = chosen ? "#b3261e" : near && near.has(position) ? "#e08a00" : stroke;
  pen.lineWidth = chosen || (near && near.has(position)) ? 3 : 1;
  pen.beginPath();
  pen.roundRect(x - w / 2, y - h / 2, w, h, vertex.kind === "node" ? 7 : 14);
  pen.fill();
  pen.stroke();
  if (view.scale < 0.3) return;
  pen.textAlign = "center";
  item.lines.forEach(([text, colour, bold], k) => {
    pen.fillStyle = colour;
    pen.font = (bold ? "bold " : "") + "12.5px 'DejaVu Sans', Arial, sans-serif";
    pen.fillText(text, x, y - h / 2 + 18 + k * LINE, w - 6);
  });
}

function drawLabel(e, sight) {
  if (!e.derivative) return;
  const [x, y] = e.label;
  if (x < sight.left || x > sight.right || y < sight.top || y > sight.bottom) return;
  const width = e.derivative.length * 6.6 + 6;
  pen.fillStyle = "rgba(255,255,255,0.85)";
  pen.fillRect(x - width / 2, y - 11, width, 14);
  pen.fillStyle = "#2659a5";
  pen.textAlign = "center";
  pen.font = "11.5px 'DejaVu Sans', Arial, sans-serif";
  pen.fillText(e.derivative, x, y);
}

// Where a whole frame is slow, moving shows the last one moved, and the true one follows at rest.
const SLOW = 20, kept = {canvas: document.createElement("canvas"), view: null, timer: 0, cost: 0};
function whole() {
  const start = performance.now();
  draw();
  kept.cost = performance.now() - start;
  kept.view = null;
  if (kept.cost < SLOW) return;
  kept.canvas.width = canvas.width;
  kept.canvas.height = canvas.height;
  kept.canvas.getContext("2d").drawImage(canvas, 0, 0);
  kept.view = {...view};
}
function moved() {
  waiting = false;
  const ratio = window.devicePixelRatio || 1, scale = view.scale / kept.view.scale;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(scale, 0, 0, scale, (view.x - kept.view.x * scale) * ratio, (view.y - kept.view.y * scale) * ratio);
  pen.drawImage(kept.canvas, 0, 0);
  clearTimeout(kept.timer);
  kept.timer = setTimeout(whole, 90);
}
function later(moving) {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(moving === true && kept.view ? moved : whole);
}

function resize() {
  const ratio = window.devicePixelRatio || 1, width = Math.max(50, innerWidth - PANEL), height = innerHeight - BAR;
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  later();
}

function fit() {
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
  for (const {x, y, w, h} of scene.items) {
    left = Math.min(left, x - w / 2); right = Math.max(right, x + w / 2);
    top = Math.min(top, y - h / 2); bottom = Math.max(bottom, y + h / 2);
  }
  if (!scene.items.length) return;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  view.scale = Math.min(1.25, (width - 30) / (right - left), (height - 30) / (bottom - top));
  view.x = width / 2 - view.scale * (left + right) / 2;
  view.y = height / 2 - view.scale * (top + bottom) / 2;
  later();
}

function zoom(factor, x, y) {
  const scale = Math.min(4, Math.max(0.01, view.scale * factor));
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  later(true);
}

// What the panel says of a vertex.
function escape(text) { return String(text).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c])); }
function link(key) { const v = originals.get(key); return `<a data-key="${escape(key)}">${escape(v.title)}${v.value ? " = " + escape(v.value) : ""}</a>`; }

function pathsFrom(key, limit) {
  // Paths to where the adjoint begins: their products of local derivatives sum to the adjoint.
  const found = [], stack = [[key, [key], 1, true]];
  let left = 20000;
  while (stack.length && found.length < limit && left--) {
    const [at, path, product, known] = stack.pop();
    const onward = outgoing.get(at).filter(e => e.kind === "data" && originals.get(e.head).side === originals.get(at).side);
    if (!onward.length) { if (outgoing.get(at).some(e => e.kind === "result")) found.push({path, product, known}); continue; }
    for (const e of onward) stack.push([e.head, [...path, e.head], product * (e.factor === null ? NaN : e.factor), known && e.factor !== null]);
  }
  return found;
}

function number(value) { return Number.isFinite(value) ? String(Number(value.toPrecision(5))).replace("-", "−") : "not one number"; }

function describe(key) {
  const item = scene.items[scene.index.get(key)];
  if (item.vertex.kind === "group") {
    const rows = item.members.slice(0, 200).map(member => `<p>${link(member)}</p>`).join("");
    return `<h2>${escape(item.vertex.title)}</h2><p>${item.members.length} nodes</p><p><a data-open="${escape(item.vertex.title)}">Unfold</a></p><h3>Nodes</h3>${rows}`;
  }
  const v = item.vertex, parts = [`<h2>${escape(v.title)}</h2>`];
  if (v.details) parts.push(`<p>${escape(v.details)}</p>`);
  parts.push(`<h3>Type</h3><p>${escape(v.type)}</p>`);
  if (v.value) parts.push(`<h3>Value</h3><p>${escape(v.value)}</p>`);
  if (v.adjoint) parts.push(`<h3>Adjoint: ∂ result / ∂ this</h3><p class="adjoint">${escape(v.adjoint)}</p>`);
  if (v.source) parts.push(`<h3>Source</h3><p>${escape(v.source)} in ${escape(v.function)}</p>` + (v.line ? `<code>${escape(v.line)}</code>` : ""));
  const ins = incoming.get(v.key).filter(e => e.kind !== "body");
  if (ins.length) parts.push("<h3>Operands, and ∂ this / ∂ operand" + (v.rule ? ` (${escape(v.rule)})` : "") + "</h3>",
    ...ins.map(e => `<p>${link(e.tail)}${e.derivative ? ` <span class="derivative">${escape(e.derivative)}</span>` : ""}</p>`));
  const outs = outgoing.get(v.key);
  if (outs.length) parts.push("<h3>Used by</h3>", ...outs.slice(0, 60).map(e => `<p>${link(e.head)}</p>`));
  if (v.origin) parts.push(`<h3>Differentiates</h3><p>${link(v.origin)}</p>`);
  const own = derived.get(v.key);
  if (own) parts.push("<h3>Its adjoint nodes</h3>", ...own.map(other => `<p>${link(other)}</p>`));
  if (v.adjoint) parts.push(describePaths(v));
  if (item.members.length > 1) parts.push(`<p><a data-open="${escape(v.key)}">Unfold the body</a></p>`);
  return parts.join("");
}

function describePaths(v) {
  const limit = 24, paths = pathsFrom(v.key, limit + 1), shown = paths.slice(0, limit);
  if (!shown.length) return "";
  const rows = shown.map(({path, product, known}) =>
    `<p>${path.map(key => escape(originals.get(key).title)).join(" → ")}: ${known ? number(product) : "a product of linear maps"}</p>`);
  const whole = paths.length <= limit && shown.every(path => path.known);
  const sum = whole ? `<p class="adjoint">sum over ${shown.length} path${shown.length > 1 ? "s" : ""}: ${number(shown.reduce((s, p) => s + p.product, 0))}</p>` : "";
  return `<h3>Paths to the result, and their products</h3>${rows.join("")}${paths.length > limit ? "<p>… and more</p>" : ""}${sum}`;
}

function select(key) {
  selected = key;
  panel.innerHTML = key === null ? summary() : describe(key);
  later();
}

function summary() {
  const nodes = data.vertices.filter(v => v.kind === "node").length;
  return `<h2>${escape(data.name)}</h2><p>${nodes} nodes, ${data.edges.length} edges` +
    (data.kernels.length ? `, ${data.kernels.length} kernels` : "") + `</p>${data.note ? `<p>${escape(data.note)}</p>` : ""}
    <p><span class="derivative">blue</span>: the local derivative along an edge. <span class="adjoint">red</span>: the
    derivative of the result with respect to the node.</p><p>Click a node. Drag to move, turn the wheel to come closer.</p>`;
}

function reveal(key) {
  const shown = scene.index.has(key) ? key : scene.items[scene.place.get(key)].vertex.key;
  const item = scene.items[scene.index.get(shown)];
  view.scale = Math.max(view.scale, 0.8);
  view.x = canvas.clientWidth / 2 - item.x * view.scale;
  view.y = canvas.clientHeight / 2 - item.y * view.scale;
  select(shown);
}

function itemAt(x, y) {
  const px = (x - view.x) / view.scale, py = (y - view.y) / view.scale;
  return scene.items.find(item => Math.abs(px - item.x) <= item.w / 2 && Math.abs(py - item.y) <= item.h / 2);
}

function search(text) {
  const wanted = text.trim().toLowerCase();
  matches = new Set(!wanted ? [] : data.vertices.filter(v =>
    [v.title, v.type, v.source, v.line, v.function, v.details].some(part => part && part.toLowerCase().includes(wanted))).map(v => v.key));
  $("found").textContent = wanted ? matches.size + " found" : "";
  later();
}

function refold() { build(); select(null); fit(); }

let drag = null;
canvas.addEventListener("pointerdown", e => { drag = {x: e.clientX, y: e.clientY, moved: false}; canvas.setPointerCapture(e.pointerId); });
canvas.addEventListener("pointermove", e => {
  if (!drag) return;
  const dx = e.clientX - drag.x, dy = e.clientY - drag.y;
  if (Math.abs(dx) + Math.abs(dy) > 3) drag.moved = true;
  if (drag.moved) { view.x += dx; view.y += dy; drag.x = e.clientX; drag.y = e.clientY; later(true); }
});
canvas.addEventListener("pointerup", e => {
  if (drag && !drag.moved) { const item = itemAt(e.offsetX, e.offsetY); select(item ? item.vertex.key : null); }
  drag = null;
});
canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0015), e.offsetX, e.offsetY); }, {passive: false});
panel.addEventListener("click", e => {
  if (e.target.dataset.key) reveal(e.target.dataset.key);
  if (e.target.dataset.open) { opened.add(e.target.dataset.open); build(); select(null); }
});
let jump = 0;
$("search").addEventListener("input", e => { jump = 0; search(e.target.value); });
$("search").addEventListener("keydown", e => { if (e.key === "Enter" && matches.size) reveal([...matches][jump++ % matches.size]); });
$("fold").addEventListener("change", () => { opened = new Set(); refold(); });
$("kernels").addEventListener("change", later);
$("fit").addEventListener("click", fit);
const middle = factor => zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
$("closer").addEventListener("click", () => middle(1.4));
$("farther").addEventListener("click", () => middle(1 / 1.4));
addEventListener("keydown", e => {
  if (e.target.tagName === "INPUT" || e.target.tagName === "SELECT") return;
  if (e.key === "0") fit(); else if (e.key === "+") middle(1.4); else if (e.key === "-") middle(1 / 1.4);
});
addEventListener("resize", resize);
$("name").textContent = data.name;
if (!data.kernels.length) $("kernels").parentElement.style.display = "none";
if (data.vertices.some(v => v.inside) && data.vertices.length > 60) $("fold").value = "body";
build();
resize();
fit();
select(null);
// For measuring and tests: what is shown, where, and how long a frame takes.
window.tracerView = {
  scene: () => scene, view: () => view, select, reveal, search, selected: () => selected,
  at: key => { const item = scene.items[scene.index.get(key)]; return [item.x * view.scale + view.x, item.y * view.scale + view.y + BAR]; },
  moves: count => { whole(); if (!kept.view) return kept.cost; const start = performance.now(); for (let k = 0; k < count; k++) { view.x += k % 2 ? 1 : -1; moved(); pen.getImageData(0, 0, 1, 1); } return (performance.now() - start) / count; },
  frames: count => { const start = performance.now(); for (let k = 0; k < count; k++) { view.x += k % 2 ? 1 : -1; draw(); pen.getImageData(0, 0, 1, 1); } return (performance.now() - start) / count; },
};
