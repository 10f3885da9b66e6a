// A cloud of noise denoised twice, with the same noise: by the trained network, shipped as numbers in dif-cloud-data.js
// (written by tools/live_weights.py, loaded when the reader comes near), and by the exact average of the noise, which is
// known because the data are a mixture of eight Gaussians.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["dif-cloud"]`.
(function () {
  "use strict";

  const { print, svg, line, whole, unpack, lazyFigure } = window.genmodelsLive.common;
  const { cosine, embed, normals, times, step } = window.genmodelsLive.dif;

  const T = 100;
  const schedule = cosine(T);
  const { alphaBar } = schedule;
  const SD = 0.05; // of each Gaussian
  const CENTRES = whole(0, 7).map((k) => [Math.cos(Math.PI * k / 4), Math.sin(Math.PI * k / 4)]);
  const CLIP = 1.5; // guesses at x_0 are kept within the data's square, and a little more
  const POINTS = 200; // a cloud is an array of 2 × POINTS numbers: x, y, x, y, ...
  const SEED = 3;

  // ---------------------------------------------------------------- the two denoisers: a cloud and its time to the noise in it

  // Each row of x, of so many inputs, through a layer: W holds a row of `stride` weights for each output. Four points and two
  // outputs at a time, which their numbers must allow: what is looked up is used more than once, and eight sums are on their way.
  function affine(x, inputs, { shape: [outputs, stride], values: W }, bias) {
    const y = new Float64Array(x.length / inputs * outputs);
    for (let a = 0, at = 0; a < x.length; a += 4 * inputs, at += 4 * outputs) {
      const b = a + inputs, c = b + inputs, d = c + inputs;
      for (let j = 0; j < outputs; j += 2) {
        const row = j * stride, next = row + stride;
        let a0 = bias[j], b0 = a0, c0 = a0, d0 = a0;
        let a1 = bias[j + 1], b1 = a1, c1 = a1, d1 = a1;
        for (let k = 0; k < inputs; k++) {
          const w0 = W[row + k], w1 = W[next + k];
          const xa = x[a + k], xb = x[b + k], xc = x[c + k], xd = x[d + k];
          a0 += w0 * xa;
          b0 += w0 * xb;
          c0 += w0 * xc;
          d0 += w0 * xd;
          a1 += w1 * xa;
          b1 += w1 * xb;
          c1 += w1 * xc;
          d1 += w1 * xd;
        }
        const one = at + j, two = one + outputs, three = two + outputs, four = three + outputs;
        y[one] = a0;
        y[two] = b0;
        y[three] = c0;
        y[four] = d0;
        y[one + 1] = a1;
        y[two + 1] = b1;
        y[three + 1] = c1;
        y[four + 1] = d1;
      }
    }
    return y;
  }

  function silu(y) {
    for (let i = 0; i < y.length; i++) y[i] /= 1 + Math.exp(-y[i]);
    return y;
  }

  function network(layers) {
    return (xt, t) => {
      const [first, ...rest] = layers;
      const { shape: [, stride], values } = first.W;
      const clock = embed(t, stride - 2); // the time is the same for all points: it goes into the first layer's bias
      const time = first.b.values.map((bias, j) => clock.reduce((sum, hand, k) => sum + values[j * stride + 2 + k] * hand, bias));
      let h = affine(xt, 2, first.W, time);
      for (const { W, b } of rest) h = affine(silu(h), W.shape[1], W, b.values);
      return h;
    };
  }

  function exact(xt, t) {
    const signal = Math.sqrt(alphaBar[t]);
    const variance = alphaBar[t] * SD * SD + 1 - alphaBar[t];
    const eps = new Float64Array(xt.length);
    const weights = new Float64Array(CENTRES.length);
    for (let i = 0; i < xt.length; i += 2) {
      // All centres are equally far from the origin, so that x · centre decides. Of x_0 the average centre is subtracted.
      let highest = -Infinity;
      CENTRES.forEach(([x, y], k) => {
        weights[k] = signal * (x * xt[i] + y * xt[i + 1]) / variance;
        highest = Math.max(highest, weights[k]);
      });
      let [sum, meanX, meanY] = [0, 0, 0];
      CENTRES.forEach(([x, y], k) => {
        const weight = Math.exp(weights[k] - highest);
        sum += weight;
        meanX += weight * x;
        meanY += weight * y;
      });
      eps[i] = Math.sqrt(1 - alphaBar[t]) / variance * (xt[i] - signal * meanX / sum);
      eps[i + 1] = Math.sqrt(1 - alphaBar[t]) / variance * (xt[i + 1] - signal * meanY / sum);
    }
    return eps;
  }

  // ---------------------------------------------------------------- the runs

  // The clouds of noise that a seed gives, one after another, kept: both denoisers are given the same, at any number of steps.
  let kept = { seed: null };
  function noiseOf(seed, i) {
    if (kept.seed !== seed) kept = { seed, draw: normals(seed), clouds: [] };
    while (kept.clouds.length <= i) kept.clouds.push(kept.draw(2 * POINTS));
    return kept.clouds[i];
  }

  // All clouds that a sampler goes through, the first of which is noise.
  function run(denoiser, { steps, eta, seed }) {
    const visited = times(T, steps);
    const clouds = [noiseOf(seed, 0)];
    visited.slice(1).forEach((s, i) => {
      const [xt, t] = [clouds[i], visited[i]];
      clouds.push(step(schedule, { xt, t, s, eta, epsHat: denoiser(xt, t), noise: noiseOf(seed, i + 1), clip: CLIP }).xs);
    });
    return clouds;
  }

  // The step at whose time the cloud is shown: of the visited times the nearest to t.
  function stepAt({ t, steps }) {
    const away = times(T, steps).map((visited) => Math.abs(visited - t));
    return away.indexOf(Math.min(...away));
  }

  // Of each point the nearest centre, and how far away it is.
  function homes(cloud) {
    return whole(0, POINTS - 1).map((i) => {
      const away = CENTRES.map(([x, y]) => Math.hypot(cloud[2 * i] - x, cloud[2 * i + 1] - y));
      const distance = Math.min(...away);
      return { mode: away.indexOf(distance), distance };
    });
  }

  // What metrics.modes_covered counts, and the mean distance from the nearest centre.
  function measure(cloud) {
    const found = homes(cloud);
    const good = found.filter(({ distance }) => distance <= 3 * SD);
    return {
      modes: new Set(good.map(({ mode }) => mode)).size,
      good: good.length / POINTS,
      distance: found.reduce((sum, { distance }) => sum + distance, 0) / POINTS,
    };
  }
  // The same of the data themselves, on average.
  const DATA = { modes: 8, good: 1 - Math.exp(-4.5), distance: SD * Math.sqrt(Math.PI / 2) };

  function runner(denoisers) {
    let known = { key: "" };
    return (state) => {
      const key = [state.steps, state.eta, state.seed].join(" ");
      if (known.key !== key) known = { key, runs: Object.fromEntries(Object.entries(denoisers).map(([name, d]) => [name, run(d, state)])) };
      return known.runs;
    };
  }

  function terms(runs, state) {
    const k = stepAt(state);
    const [one, other] = Object.values(runs).map((clouds) => homes(clouds[k]));
    return {
      step: k,
      time: times(T, state.steps)[k],
      together: one.filter(({ mode }, i) => mode === other[i].mode).length,
      ...Object.fromEntries(Object.entries(runs).map(([name, clouds]) => [name, measure(clouds[k])])),
    };
  }

  // ---------------------------------------------------------------- the figure

  const REACH = 2; // each plane is shown from -REACH to REACH
  const TRAILS = 40; // so many points leave a trail
  const NAMES = { network: "the network", exact: "the exact average" };
  const COLUMNS = { ...NAMES, data: "the data" };
  const ROWS = { modes: "modes covered, of 8", good: "points in a circle", distance: "mean distance to the nearest centre" };
  const PLAY = { most: 4000, each: 600, jumps: 10 }; // milliseconds in all, and for a step; jumps for those who want no motion
  const RANGES = {
    steps: { choices: [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 35, 50, 70, 100], digits: 0, text: "steps, of <i>T</i> = 100" },
    eta: { min: 0, max: 1, step: 0.05, text: "<i>η</i>, share of fresh noise" },
    t: { min: 0, max: T, step: 1, digits: 0, text: "time <i>t</i> that is shown" },
  };
  const START = { steps: 10, eta: 0, t: 0, seed: SEED };

  function builder(runsOf) {
    return function build({ find, set, glide, state, stop }) {
      const panels = Object.entries(NAMES).map(([name, text]) => {
        const modes = CENTRES.map(() => svg("circle", { class: "gm-d-mode" }));
        const trails = svg("path", { class: "gm-d-trails" });
        const dots = svg("path", { class: "gm-d-dots" });
        const title = svg("text", { x: 8, y: 18 }, text);
        const plot = svg("svg", { "aria-hidden": "true" }, ...modes, trails, dots, title);
        find(`[data-plane=${name}]`).append(plot);
        return { name, modes, trails, dots, plot };
      });

      let side = 0;
      const at = (cloud, i) => [(cloud[2 * i] + REACH) / (2 * REACH) * side, (REACH - cloud[2 * i + 1]) / (2 * REACH) * side];

      function resize(width) {
        side = width;
        for (const { plot, modes } of panels) {
          plot.setAttribute("viewBox", `0 0 ${side} ${side}`);
          plot.setAttribute("height", side);
          modes.forEach((circle, mode) => {
            const [cx, cy] = at(CENTRES[mode], 0);
            const attributes = { cx, cy, r: 3 * SD * side / (2 * REACH) };
            for (const [key, value] of Object.entries(attributes)) circle.setAttribute(key, value.toFixed(1));
          });
        }
      }

      function draw(now, values, width) {
        if (width !== side) resize(width);
        const runs = runsOf(now);
        const k = values.at;
        for (const { name, trails, dots } of panels) {
          const clouds = runs[name].slice(0, k + 1);
          const points = whole(0, POINTS - 1);
          dots.setAttribute("d", points.map((i) => at(clouds[k], i)).map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join(""));
          trails.setAttribute("d", points.slice(0, TRAILS).map((i) => line(clouds.map((cloud) => at(cloud, i)))).join(""));
        }
      }

      // ---- from step to step
      const visited = () => times(T, state().steps);
      find("[data-do=step]").addEventListener("click", () => {
        stop();
        const next = visited()[stepAt(state()) + 1];
        set({ t: next === undefined ? T : next });
      });
      const button = find("[data-do=play]");
      let playing = false;
      button.addEventListener("click", () => {
        if (playing) return stop();
        stop();
        if (stepAt(state()) === state().steps) set({ t: T });
        const left = state().steps - stepAt(state());
        playing = true;
        button.textContent = "Pause";
        glide({ t: 0 }, {
          milliseconds: Math.min(PLAY.most, PLAY.each * left),
          jumps: Math.min(left, PLAY.jumps),
          ease: (part) => Math.floor(part * left) / left,
          done: () => { playing = false; button.textContent = "Play"; },
        });
      });
      find("[data-do=noise]").addEventListener("click", () => {
        stop();
        set({ seed: Math.floor(2 ** 32 * Math.random()) });
      });
      return draw;
    };
  }

  const printed = {
    modes: (value) => String(value),
    good: (value) => `${print(100 * value, 1)} %`,
    distance: (value) => print(value),
  };
  const cell = (name, row) => (name === "data"
    ? `<td>${printed[row](DATA[row])}</td>`
    : `<td><output data-out="${name}-${row}" aria-live="off"></output></td>`);
  const table = `
    <table class="gm-live-table">
      <thead><tr><td></td>${Object.values(COLUMNS).map((text) => `<th scope="col">${text}</th>`).join("")}</tr></thead>
      <tbody>${Object.entries(ROWS).map(([row, text]) => `
        <tr><th scope="row">${text}</th>${Object.keys(COLUMNS).map((name) => cell(name, row)).join("")}</tr>`).join("")}</tbody>
    </table>`;

  function specify({ layers: packed }) {
    const layers = packed.map(({ W, b }) => ({ W: unpack(W), b: unpack(b) }));
    const denoisers = { network: network(layers), exact };
    const runsOf = runner(denoisers);
    window.genmodelsLive["dif-cloud"] = {
      ...denoisers, run: (name, state) => run(denoisers[name], state), terms: (state) => terms(runsOf(state), state),
      measure, stepAt, START, RANGES, CENTRES, CLIP, DATA,
    };
    return {
      label: "A cloud denoised twice, to play",
      description: `Two pictures of the plane, each with the same ${POINTS} points, which begin as noise. Eight small circles on a
        ring, three standard deviations wide, are the modes of the data. On the left the trained network says what is
        noise, on the right the exact average does. ${TRAILS} of the points draw their path. The sliders choose the number of steps, the
        share of fresh noise, and the time that is shown, from ${T}, all noise, to 0, the samples.`,
      ranges: RANGES,
      start: START,
      drawing: `<div class="gm-live-plot" data-plane="network"></div><div class="gm-live-plot" data-plane="exact"></div>${table}`,
      numbers: [
        { name: "shown", text: "step, and its time" },
        { name: "togetherText", text: "points nearest to the same mode in both" },
      ],
      controls: `<div class="gm-live-walk"><button type="button" class="gm-button" data-do="play">Play</button>
        <button type="button" class="gm-button" data-do="step">Step</button>
        <button type="button" class="gm-button" data-do="noise">New noise</button></div>`,
      values(state) {
        const found = terms(runsOf(state), state);
        const cells = Object.keys(NAMES).flatMap((name) => Object.keys(ROWS).map((row) => [`${name}-${row}`, printed[row](found[name][row])]));
        return {
          ...Object.fromEntries(cells), at: found.step, shown: `${found.step} of ${state.steps}, t = ${found.time}`,
          togetherText: `${found.together} of ${POINTS}`,
        };
      },
      say: (values) => `Step ${values.shown}. The network: ${values["network-modes"]} modes, mean distance ${values["network-distance"]}.
        The exact average: ${values["exact-modes"]} modes, mean distance ${values["exact-distance"]}`,
      build: builder(runsOf),
    };
  }

  lazyFigure("dif-cloud", specify);
})();
