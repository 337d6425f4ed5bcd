// The playground's training: points in the plane, a small network with its backpropagation written out, and the
// three ways to use unlabeled points. No page is needed here, so that the same code is timed and tested under Node.

import { random } from "./random.mjs";

export const SHAPES = {
  moons: "two moons",
  circles: "two rings",
  blobs: "two clouds",
  split: "groups that mislead",
};

// n points, alternately of class 0 and 1, centered, about 1 in spread.
export function makePoints(shape, n, seed) {
  const r = random(seed + 1),
    x = new Float32Array(2 * n),
    y = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const c = (y[i] = i % 2),
      t = Math.PI * r.uniform();
    let a, b;
    if (shape === "moons") {
      a = c ? 0.5 - Math.cos(t) : Math.cos(t) - 0.5;
      b = c ? 0.25 - Math.sin(t) : Math.sin(t) - 0.25;
      a += 0.1 * r.normal();
      b += 0.1 * r.normal();
    } else if (shape === "circles") {
      const radius = (c ? 0.5 : 1.25) + 0.08 * r.normal();
      a = radius * Math.cos(2 * t);
      b = radius * Math.sin(2 * t);
    } else if (shape === "blobs") {
      a = (c ? 0.75 : -0.75) + 0.33 * r.normal();
      b = (c ? 0.35 : -0.35) + 0.33 * r.normal();
    } else {
      // Two groups, left and right, and each is half of one class and half of the other: the classes part where
      // the points are densest, and the empty space between the groups means nothing.
      a = (r.uniform() < 0.5 ? -0.8 : 0.8) + 0.24 * r.normal();
      b = (c ? 1 : -1) * 0.5 * Math.abs(r.normal());
    }
    x[2 * i] = a;
    x[2 * i + 1] = b;
  }
  return { x, y, n };
}

// The labels: copies of some points with their classes, as many of each; drawn by the seed alone.
export function chooseLabeled(points, labels, seed) {
  const r = random(seed + 77),
    chosen = [];
  for (let c = 0; c < 2; c++) {
    const own = [...points.y.keys()].filter((i) => points.y[i] === c);
    for (let k = 0; k < labels / 2; k++) chosen.push(own.splice(r.integer(own.length), 1)[0]);
  }
  return chosen.map((i) => ({ a: points.x[2 * i], b: points.x[2 * i + 1], y: points.y[i] }));
}

// As exact as Math.tanh for what is done here, and two to three times as fast.
const tanh = (v) => 1 - 2 / (Math.exp(2 * v) + 1);

// A network 2-H-H-2 with tanh. Parameters lie in one array: W1 (2H) b1 (H) W2 (H*H) b2 (H) W3 (2H) b3 (2).
export class Net {
  constructor(hidden, seed, gain = 1) {
    const H = (this.H = hidden),
      r = random(seed + 1234);
    this.at = { w1: 0, b1: 2 * H, w2: 3 * H, b2: 3 * H + H * H, w3: 4 * H + H * H, b3: 6 * H + H * H };
    this.size = this.at.b3 + 2;
    this.p = new Float32Array(this.size);
    this.g = new Float32Array(this.size);
    this.v = new Float32Array(this.size);
    this.h1 = new Float32Array(H);
    this.h2 = new Float32Array(H);
    this.d1 = new Float32Array(H);
    this.d2 = new Float32Array(H);
    for (let i = 0; i < 2 * H; i++) this.p[i] = r.normal() * gain;
    for (let i = 0; i < H; i++) this.p[this.at.b1 + i] = r.normal() * gain;
    for (let i = 0; i < H * H; i++) this.p[this.at.w2 + i] = r.normal() / Math.sqrt(H);
    for (let i = 0; i < 2 * H; i++) this.p[this.at.w3 + i] = (0.3 * r.normal()) / Math.sqrt(H);
  }

  // Probability of class 1 at (a, b).
  forward(a, b) {
    const { H, p, at, h1, h2 } = this;
    for (let i = 0; i < H; i++) h1[i] = tanh(p[2 * i] * a + p[2 * i + 1] * b + p[at.b1 + i]);
    let z = p[at.b3 + 1] - p[at.b3];
    for (let i = 0, w = at.w2; i < H; i++, w += H) {
      let s = p[at.b2 + i];
      for (let j = 0; j < H; j++) s += p[w + j] * h1[j];
      h2[i] = tanh(s);
      z += (p[at.w3 + H + i] - p[at.w3 + i]) * h2[i];
    }
    return 1 / (1 + Math.exp(-z));
  }

  // Adds weight * gradient of the cross-entropy -log q(target) at (a, b). Returns the cross-entropy.
  backward(a, b, target, weight) {
    const q = this.forward(a, b),
      { H, p, g, at, h1, h2, d1, d2 } = this;
    const dz = weight * (q - target); // derivative by the second logit; the first has the opposite sign
    g[at.b3 + 1] += dz;
    g[at.b3] -= dz;
    d1.fill(0);
    for (let i = 0, w = at.w2; i < H; i++, w += H) {
      g[at.w3 + H + i] += dz * h2[i];
      g[at.w3 + i] -= dz * h2[i];
      const d = (d2[i] = dz * (p[at.w3 + H + i] - p[at.w3 + i]) * (1 - h2[i] * h2[i]));
      g[at.b2 + i] += d;
      for (let j = 0; j < H; j++) {
        g[w + j] += d * h1[j];
        d1[j] += d * p[w + j];
      }
    }
    for (let j = 0; j < H; j++) {
      const d = d1[j] * (1 - h1[j] * h1[j]);
      g[2 * j] += d * a;
      g[2 * j + 1] += d * b;
      g[at.b1 + j] += d;
    }
    return -Math.log(Math.max(1e-12, target ? q : 1 - q));
  }

  // One step of SGD with Nesterov's momentum; weight decay on the weights of the layers, not on the biases.
  update(lr, momentum, decay) {
    const { p, g, v, at } = this;
    for (let i = 0; i < this.size; i++) {
      const bias = (i >= at.b1 && i < at.w2) || (i >= at.b2 && i < at.w3) || i >= at.b3;
      const d = g[i] + (bias ? 0 : decay * p[i]);
      v[i] = momentum * v[i] + d;
      p[i] -= lr * (d + momentum * v[i]);
      g[i] = 0;
    }
  }
}

// Chosen on two moons with seeds 0 to 19, for a picture that learns within seconds; measured on seeds 100 to 129.
// `strength` multiplies the last three.
export const DEFAULTS = {
  hidden: 16,
  gain: 3,
  batch: 8,
  lr: 0.05,
  momentum: 0.9,
  decay: 5e-4,
  weak: 0.03,
  jitter: 0.15,
  turn: 0.35,
  scale: 0.15,
};

export const METHODS = ["supervised", "pseudo-label", "fixmatch"];

// One learner: a method, its network, its own random draws.
export class Learner {
  constructor(method, points, labeled, options, seed) {
    Object.assign(this, { method, points, labeled, options: { ...DEFAULTS, ...options }, step: 0 });
    this.net = new Net(this.options.hidden, seed, this.options.gain); // the same start for all three methods
    this.r = random(seed + 99);
    this.lossSupervised = this.lossUnsupervised = 0;
  }

  // One training step on `batch` labeled and mu * batch unlabeled points.
  train() {
    const { net, r, points, labeled, options: o } = this,
      { x } = points;
    this.lossSupervised = this.lossUnsupervised = 0;
    for (let k = 0; k < o.batch; k++) {
      const l = labeled[r.integer(labeled.length)];
      const a = l.a + o.weak * r.normal(),
        b = l.b + o.weak * r.normal();
      this.lossSupervised += net.backward(a, b, l.y, 1 / o.batch) / o.batch;
    }
    if (this.method !== "supervised") {
      const n = o.mu * o.batch,
        s = o.strength;
      for (let k = 0; k < n; k++) {
        const i = r.integer(points.n);
        let a = x[2 * i] + o.weak * r.normal(),
          b = x[2 * i + 1] + o.weak * r.normal();
        const q = net.forward(a, b),
          confidence = Math.max(q, 1 - q);
        if (confidence < o.tau) continue; // adds nothing, but n still counts it
        const pseudoLabel = q >= 0.5 ? 1 : 0;
        if (this.method === "fixmatch") {
          const turn = s * o.turn * r.normal(),
            grow = 1 + s * o.scale * r.normal();
          const c = Math.cos(turn) * grow,
            d = Math.sin(turn) * grow;
          a = c * x[2 * i] - d * x[2 * i + 1] + s * o.jitter * r.normal();
          b = d * x[2 * i] + c * x[2 * i + 1] + s * o.jitter * r.normal();
        }
        this.lossUnsupervised += net.backward(a, b, pseudoLabel, o.lambda_u / n) / n;
      }
    }
    net.update(o.lr, o.momentum, o.decay);
    this.step++;
  }

  // What the network says about every point now: 0 dropped, 1 kept and right, 2 kept and wrong.
  judge(out = {}) {
    const { net, points, options: o } = this,
      n = points.n;
    out.q ??= new Float32Array(n);
    out.status ??= new Uint8Array(n);
    let right = 0,
      kept = 0,
      wrong = 0;
    for (let i = 0; i < n; i++) {
      const q = (out.q[i] = net.forward(points.x[2 * i], points.x[2 * i + 1]));
      const ok = q >= 0.5 === (points.y[i] === 1);
      const sure = Math.max(q, 1 - q) >= o.tau;
      right += ok;
      kept += sure;
      wrong += sure && !ok;
      out.status[i] = sure ? (ok ? 1 : 2) : 0;
    }
    return Object.assign(out, { accuracy: right / n, kept: kept / n, wrong: kept ? wrong / kept : null });
  }
}
