"use strict";
// The layout of tracer/view/layout.py again, for what folding leaves: layers by longest path,
// orders by barycentres, places by pooling adjacent violators.
const GAP = 26, LAYER_GAP = 46, SWEEPS = 12, LONG = 12;

function layersOf(count, edges) {
  const heads = Array.from({length: count}, () => []), waiting = new Int32Array(count);
  const tails = new Int32Array(count), layer = new Array(count).fill(0);
  for (const [tail, head] of edges) if (tail !== head) { heads[tail].push(head); waiting[head]++; tails[head]++; }
  const ready = [], done = new Uint8Array(count), finished = [];
  for (let v = 0; v < count; v++) if (!waiting[v]) ready.push(v);
  let next = 0;
  while (finished.length < count) {
    if (!ready.length) { while (done[next]) next++; ready.push(next); }
    const v = ready.pop();
    if (done[v]) continue;
    done[v] = 1;
    finished.push(v);
    for (const head of heads[v]) if (!done[head]) {
      layer[head] = Math.max(layer[head], layer[v] + 1);
      if (!--waiting[head]) ready.push(head);
    }
  }
  for (const v of finished.reverse()) if (heads[v].length && tails[v] <= heads[v].length) {
    let low = Infinity;
    for (const head of heads[v]) low = Math.min(low, layer[head]);
    layer[v] = Math.max(layer[v], low - 1);
  }
  return layer;
}

function chained(edges, layer, widths) {
  return edges.map(([tail, head]) => {
    const span = layer[head] - layer[tail], chain = [tail];
    if (span >= 2 && span <= LONG)
      for (let level = layer[tail] + 1; level < layer[head]; level++) {
        chain.push(layer.length);
        layer.push(level);
        widths.push(6);
      }
    chain.push(head);
    return chain;
  });
}

function separated(wanted, widths) {
  const offsets = [], pools = [];
  let edge = 0;
  widths.forEach((width, k) => { edge += width / 2 + (k ? widths[k - 1] / 2 + GAP : 0); offsets.push(edge); });
  wanted.forEach((place, k) => {
    let mean = place - offsets[k], size = 1;
    while (pools.length && pools[pools.length - 1][0] > mean) {
      const [other, many] = pools.pop();
      mean = (mean * size + other * many) / (size + many);
      size += many;
    }
    pools.push([mean, size]);
  });
  const levels = [];
  for (const [mean, size] of pools) for (let k = 0; k < size; k++) levels.push(mean);
  return levels.map((level, k) => level + offsets[k]);
}

function layOut(sizes, edges, label) {
  const count = sizes.length, layer = layersOf(count, edges), widths = sizes.map(size => size[0]);
  const chains = chained(edges, layer, widths), rows = [];
  layer.forEach((level, v) => { (rows[level] = rows[level] || []).push(v); });
  for (let k = 0; k < rows.length; k++) rows[k] = rows[k] || [];
  const above = layer.map(() => []), below = layer.map(() => []);
  for (const chain of chains) for (let k = 1; k < chain.length; k++)
    if (layer[chain[k - 1]] < layer[chain[k]]) {
      above[chain[k]].push(chain[k - 1]);
      below[chain[k - 1]].push(chain[k]);
    }
  const place = new Float64Array(layer.length), x = new Float64Array(layer.length);
  rows.forEach(row => row.forEach((v, k) => { place[v] = k; }));
  const mean = (near, of, otherwise) => {
    if (!near.length) return otherwise;
    let sum = 0;
    for (const n of near) sum += of[n];
    return sum / near.length;
  };
  for (let sweep = 0; sweep < SWEEPS; sweep++)
    for (const row of sweep % 2 ? rows.slice().reverse() : rows) {
      const keys = new Map(row.map(v => [v, mean(sweep % 2 ? below[v] : above[v], place, -1)]));
      row.sort((a, b) => keys.get(a) - keys.get(b) || place[a] - place[b]);
      row.forEach((v, k) => { place[v] = k; });
    }
  for (const row of rows) {
    let edge = 0;
    for (const v of row) { x[v] = edge + widths[v] / 2; edge += widths[v] + GAP; }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++)
    for (const row of sweep % 2 ? rows.slice().reverse() : rows) {
      const wanted = row.map(v => {
        let near = sweep % 2 ? below[v] : above[v];
        if (!near.length) near = above[v].length ? above[v] : below[v];
        return mean(near, x, x[v]);
      });
      separated(wanted, row.map(v => widths[v])).forEach((at, k) => { x[row[k]] = at; });
    }
  const y = [];
  let edge = GAP;
  for (const row of rows) {
    let tallest = 0;
    for (const v of row) if (v < count) tallest = Math.max(tallest, sizes[v][1]);
    y.push(edge + tallest / 2);
    edge += tallest + LAYER_GAP + label;
  }
  return {
    boxes: sizes.map((size, v) => [x[v], y[layer[v]], size[0], size[1]]),
    paths: chains.map(chain => chain.map(v => [x[v], y[layer[v]]])),
  };
}
