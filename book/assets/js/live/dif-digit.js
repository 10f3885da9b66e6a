// A digit that is noised, and denoised again step by step by the trained U-Net, which runs in the browser: its weights are in
// dif-digit-data.js (written by tools/live_weights.py, loaded when the reader comes near).
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["dif-digit"]`.
(function () {
  "use strict";

  const { clamp, print, svg, paint, whole, unpack, lazyFigure } = window.genmodelsLive.common;
  const { cosine, embed, normals, times, step } = window.genmodelsLive.dif;

  const T = 200;
  const schedule = cosine(T);
  const { alphaBar } = schedule;

  // ---------------------------------------------------------------- the network
  // Feature maps are (channels, size, size), row by row, in one array.

  const GROUPS = 8;

  function silu(x) {
    return x.map((value) => value / (1 + Math.exp(-value)));
  }

  // A matrix (outputs, inputs) and a bias, on a vector.
  function affine(x, { shape: [outputs, inputs], values }, bias) {
    return Float64Array.from({ length: outputs }, (_, j) => {
      let sum = bias.values[j];
      for (let k = 0; k < inputs; k++) sum += values[j * inputs + k] * x[k];
      return sum;
    });
  }

  // Each group of channels to mean 0 and variance 1, then each channel times its scale, plus its shift.
  function groupNorm(x, scale, shift) {
    const [pixels, size] = [x.length / scale.length, x.length / GROUPS];
    const y = new Float64Array(x.length);
    for (let start = 0; start < x.length; start += size) {
      let [sum, squares] = [0, 0];
      for (let i = start; i < start + size; i++) sum += x[i];
      const mean = sum / size;
      for (let i = start; i < start + size; i++) squares += (x[i] - mean) ** 2;
      const gain = 1 / Math.sqrt(squares / size + 1e-5);
      for (let i = start; i < start + size; i++) {
        const channel = Math.floor(i / pixels);
        y[i] = scale[channel] * gain * (x[i] - mean) + shift[channel];
      }
    }
    return y;
  }

  // A convolution of 3 by 3 with a frame of zeros; with a stride of 2 every second pixel of every second row is kept.
  function convolve(x, size, { shape: [outputs, inputs], values: W }, bias, stride = 1) {
    const wide = size + 2;
    const framed = new Float64Array(inputs * wide * wide);
    for (let row = 0; row < inputs * size; row++) {
      const [map, y] = [Math.floor(row / size), row % size];
      framed.set(x.subarray(row * size, (row + 1) * size), (map * wide + y + 1) * wide + 1);
    }
    const side = size / stride;
    const out = new Float64Array(outputs * side * side);
    for (let output = 0; output < outputs; output++) {
      const start = output * side * side;
      out.fill(bias.values[output], start, start + side * side);
      for (let input = 0; input < inputs; input++) {
        const w = 9 * (output * inputs + input);
        const [w0, w1, w2, w3, w4, w5, w6, w7, w8] = W.subarray(w, w + 9);
        for (let y = 0; y < side; y++) {
          let top = (input * wide + y * stride) * wide;
          for (let at = start + y * side; at < start + (y + 1) * side; at++, top += stride) {
            const [middle, low] = [top + wide, top + 2 * wide];
            out[at] += w0 * framed[top] + w1 * framed[top + 1] + w2 * framed[top + 2]
              + w3 * framed[middle] + w4 * framed[middle + 1] + w5 * framed[middle + 2]
              + w6 * framed[low] + w7 * framed[low + 1] + w8 * framed[low + 2];
          }
        }
      }
    }
    return out;
  }

  // Every map's pixels, through a matrix (outputs, inputs) at each place.
  function mix(x, { shape: [outputs, inputs], values: W }, bias) {
    const pixels = x.length / inputs;
    const out = new Float64Array(outputs * pixels);
    for (let j = 0; j < outputs; j++) {
      out.fill(bias.values[j], j * pixels, (j + 1) * pixels);
      for (let k = 0; k < inputs; k++) {
        for (let i = 0; i < pixels; i++) out[j * pixels + i] += W[j * inputs + k] * x[k * pixels + i];
      }
    }
    return out;
  }

  const add = (one, other) => one.map((value, i) => value + other[i]);

  // Nearest neighbour: each pixel becomes four.
  function double(x, size) {
    const wide = 2 * size;
    return Float64Array.from({ length: 4 * x.length }, (_, i) => x[(Math.floor(i / wide / 2) * size) + ((i % wide) >> 1)]);
  }

  function unet(weights) {
    const at = (name) => [weights[`${name}.weight`], weights[`${name}.bias`]];
    const norm = (x, name) => groupNorm(x, ...at(name).map(({ values }) => values));

    function residual(x, size, name, time) {
      let h = convolve(silu(norm(x, `${name}.norm`)), size, ...at(`${name}.first`));
      const y = affine(time, ...at(`${name}.ada_gn.project`));
      h = groupNorm(h, y.subarray(0, y.length / 2), y.subarray(y.length / 2)); // AdaGN
      h = convolve(silu(h), size, ...at(`${name}.second`));
      return add(h, `${name}.shortcut.weight` in weights ? mix(x, ...at(`${name}.shortcut`)) : x);
    }

    // What each place takes of all places' values, the softmax of its query times their keys deciding.
    function attend(x, name) {
      const found = mix(norm(x, `${name}.norm`), ...at(`${name}.to_qkv`));
      const [q, k, v] = [0, 1, 2].map((part) => found.subarray(part * x.length, (part + 1) * x.length));
      const channels = weights[`${name}.out.bias`].values.length;
      const places = x.length / channels;
      const taken = new Float64Array(x.length);
      for (let i = 0; i < places; i++) {
        const logits = whole(0, places - 1).map((j) => {
          let sum = 0;
          for (let c = 0; c < channels; c++) sum += q[c * places + i] * k[c * places + j];
          return sum / Math.sqrt(channels);
        });
        const highest = Math.max(...logits);
        const shares = logits.map((logit) => Math.exp(logit - highest));
        const sum = shares.reduce((one, other) => one + other);
        for (let c = 0; c < channels; c++) {
          taken[c * places + i] = shares.reduce((total, share, j) => total + share / sum * v[c * places + j], 0);
        }
      }
      return add(x, mix(taken, ...at(`${name}.out`)));
    }

    // 64 pixels and their time to the noise in them.
    return function predict(xt, t) {
      const clock = embed(t, weights["time.0.weight"].shape[1]);
      const time = silu(affine(silu(affine(clock, ...at("time.0"))), ...at("time.2")));
      const kept = residual(convolve(xt, 8, ...at("first")), 8, "down.0", time); // (32, 8, 8)
      let h = convolve(kept, 8, ...at("halving.0"), 2); // (64, 4, 4)
      h = residual(attend(residual(h, 4, "before", time), "attention"), 4, "after", time);
      h = convolve(double(h, 4), 8, ...at("doubling.0")); // (32, 8, 8)
      h = residual(Float64Array.of(...h, ...kept), 8, "up.0", time);
      return convolve(silu(norm(h, "norm")), 8, ...at("last"));
    };
  }

  // ---------------------------------------------------------------- the run

  const WAYS = {
    ddim: { eta: 0, every: 10, text: "DDIM, every tenth time" },
    ancestral: { eta: 1, every: 1, text: "ancestral, every time" },
  };
  const visited = ({ t0, way }) => times(t0, t0 / WAYS[way].every);

  // From the noised digit down. `to(k)` goes on until step k or, having taken a step, until so many milliseconds are over.
  function run(predict, x0, { t0, way, seed }) {
    const draw = normals(seed);
    const all = visited({ t0, way });
    const eps = draw(64);
    const xts = [x0.map((x, i) => Math.sqrt(alphaBar[t0]) * x + Math.sqrt(1 - alphaBar[t0]) * eps[i])];
    const guesses = [];
    function advance() {
      const k = guesses.length;
      const xt = xts[k];
      if (all[k] === 0) return guesses.push(xt); // nothing is left to be guessed
      const { x0: guess, xs } = step(schedule, {
        xt, t: all[k], s: all[k + 1], eta: WAYS[way].eta, epsHat: predict(xt, all[k]), noise: draw(64), clip: 1,
      });
      guesses.push(guess);
      return xts.push(xs);
    }
    function to(k, milliseconds = Infinity) {
      const began = performance.now();
      while (guesses.length <= k) {
        advance();
        if (performance.now() - began > milliseconds) break;
      }
      return Math.min(k, guesses.length - 1);
    }
    return { to, xts, guesses, times: all };
  }

  const rms = (one, other) => Math.sqrt(one.reduce((sum, value, i) => sum + (value - other[i]) ** 2, 0) / one.length);

  // The step at whose time the digit is shown: of the visited times the nearest to t, of two the earlier step.
  function stepAt(all, t) {
    const away = all.map((time) => Math.abs(time - t));
    return away.indexOf(Math.min(...away));
  }

  // ---------------------------------------------------------------- the figure

  const COLUMNS = 11; // of the strip: from where the digit is noised to, down to 0
  const IMAGES = { x0: "the digit <i>x</i><sub>0</sub>", xt: "noised, <i>x<sub>t</sub></i>", guess: "the guess <i>x̂</i><sub>0</sub>" };
  const ALT = { x0: "The digit that was chosen", xt: "The noisy digit at the time that is shown", guess: "The network’s guess at the digit" };
  const RANGES = {
    t0: { min: 10, max: T, step: 10, digits: 0, text: "noise it up to" },
    t: { min: 0, max: T, step: 1, digits: 0, text: "denoise it down to <i>t</i>" },
  };
  const START = { digit: 5, t0: 120, t: 60, way: "ddim", seed: 1 };
  const SLICE = 30; // milliseconds of computing between two drawings
  const PLAY = { milliseconds: 4000, jumps: 10 };

  function builder(digits, current) {
    return function build({ find, set, glide, drag, state, stop, redraw }) {
      const canvases = Object.fromEntries(Object.keys(IMAGES).map((name) => [name, find(`canvas[data-image=${name}]`)]));
      const strip = find(".gm-i-strip canvas");
      const under = svg("g");
      const frame = svg("rect", { class: "gm-i-now" });
      const plot = svg("svg", { "aria-hidden": "true" }, under, frame);
      find(".gm-i-strip").append(plot);

      let box = { left: 0, cell: 0 }; // in pixels: a cell is an image and the gap after it
      const column = (t, t0) => Math.round((1 - t / t0) * (COLUMNS - 1));
      const timeOf = (i, t0) => t0 * (COLUMNS - 1 - i) / (COLUMNS - 1);

      function resize(width, t0) {
        const left = 26;
        box = { left, cell: (width - left) / (COLUMNS - 1 / 9) };
        const height = 2 * box.cell;
        plot.setAttribute("viewBox", `0 0 ${width} ${height + 20}`);
        plot.setAttribute("height", height + 20);
        Object.assign(strip.style, { left: `${left}px`, width: `${width - left}px`, height: `${height - box.cell / 9}px` });
        under.replaceChildren(
          svg("text", { x: 0, y: box.cell * 0.55 }, "xₜ"),
          svg("text", { x: 0, y: box.cell * 1.55 }, "x̂₀"),
          svg("text", { x: 0, y: height + 14 }, "t"),
          svg("g", { class: "gm-axis" }, ...whole(0, COLUMNS - 1).map((i) => svg("text", {
            x: left + (i + 4 / 9) * box.cell, y: height + 14,
          }, print(timeOf(i, t0), 0)))),
        );
      }

      let drawnAs = "";
      function draw(now, values, width) {
        const { t0 } = now;
        if (drawnAs !== `${width} ${t0}`) resize(width, t0);
        drawnAs = `${width} ${t0}`;
        const { xts, guesses, times: all } = current(now);
        const k = values.at;
        paint(canvases.x0, digits[now.digit]);
        paint(canvases.xt, xts[k]);
        paint(canvases.guess, guesses[k]);
        strip.getContext("2d").clearRect(0, 0, strip.width, strip.height);
        whole(0, COLUMNS - 1).forEach((i) => {
          const there = stepAt(all, timeOf(i, t0));
          if (there >= guesses.length) return;
          paint(strip, xts[there], 9 * i, 0);
          paint(strip, guesses[there], 9 * i, 9);
        });
        const size = box.cell * 8 / 9;
        const attributes = { x: box.left + column(all[k], t0) * box.cell - 2, y: -2, width: size + 4, height: box.cell + size + 4 };
        for (const [key, value] of Object.entries(attributes)) frame.setAttribute(key, value.toFixed(1));
        if (values.more) redraw();
      }

      // ---- from step to step
      find("[data-do=step]").addEventListener("click", () => {
        stop();
        const { times: all } = current(state());
        const next = all[stepAt(all, state().t) + 1];
        set({ t: next === undefined ? state().t0 : next });
      });
      const button = find("[data-do=play]");
      let playing = false;
      button.addEventListener("click", () => {
        if (playing) return stop();
        stop();
        if (state().t === 0 || state().t > state().t0) set({ t: state().t0 });
        playing = true;
        button.textContent = "Pause";
        glide({ t: 0 }, {
          ...PLAY, ease: (part) => part, done: () => { playing = false; button.textContent = "Play"; },
        });
      });
      find("[data-do=noise]").addEventListener("click", () => {
        stop();
        set({ seed: Math.floor(2 ** 32 * Math.random()) });
      });
      find("select").addEventListener("change", (event) => {
        stop();
        set({ digit: Number(event.target.value) });
      });
      for (const choice of find(".gm-live-choice").querySelectorAll("input")) {
        choice.addEventListener("change", () => {
          stop();
          set({ way: choice.value });
        });
      }
      const timeUnder = (event) => {
        const i = clamp(Math.floor((event.clientX - plot.getBoundingClientRect().left - box.left) / box.cell), { min: 0, max: COLUMNS - 1 });
        return { t: timeOf(i, state().t0) };
      };
      drag(plot, (event) => {
        set(timeUnder(event));
        return (e) => set(timeUnder(e));
      });
      return draw;
    };
  }

  function specify({ weights: packed, digits: greys }) {
    const weights = Object.fromEntries(Object.entries(packed).map(([name, array]) => [name, unpack(array)]));
    const digits = greys.map((grey) => Float64Array.from(grey, (level) => level / 8 - 1));
    const predict = unet(weights);
    let known = { key: "" };
    function current(state) {
      const key = [state.digit, state.t0, state.way, state.seed].join(" ");
      if (known.key !== key) known = { key, run: run(predict, digits[state.digit], state) };
      return known.run;
    }
    window.genmodelsLive["dif-digit"] = {
      predict, digits, run: (state) => run(predict, digits[state.digit], state), stepAt, START, RANGES, T,
    };

    const images = Object.entries(IMAGES).map(([name, text]) => `<div><canvas width="8" height="8" role="img" data-image="${name}"
      aria-label="${ALT[name]}, 8 by 8 pixels"></canvas><span>${text}</span></div>`);
    const options = whole(0, 9).map((digit) => `<option${digit === START.digit ? " selected" : ""}>${digit}</option>`);
    const choices = Object.entries(WAYS).map(([name, { text }]) => `<label><input type="radio" name="dif-digit-way" value="${name}"${
      name === START.way ? " checked" : ""}> ${text}</label>`);
    return {
      label: "A digit noised and denoised, to play",
      description: `Three images of 8 by 8 pixels: a digit, the same digit with noise, and the network’s guess at the digit behind the
        noise. The digit is noised up to a time that a slider chooses, and denoised from there step by step; the second slider
        chooses the time that is shown. Below, a strip of ${COLUMNS} times on the way down: the noisy digit above, the guess below.`,
      ranges: RANGES,
      start: START,
      drawing: `<div class="gm-w-images">${images.join("")}</div>
        <div class="gm-live-plot gm-i-strip"><canvas width="${9 * COLUMNS - 1}" height="17"></canvas></div>`,
      numbers: [
        { name: "shown", text: "step, and its time" },
        { name: "signal", text: "<i>ᾱ<sub>t</sub></i>, what is left of <i>x</i><sub>0</sub>’s variance" },
        { name: "far", text: "difference of guess and digit, root mean square" },
      ],
      controls: `<div class="gm-live-walk"><button type="button" class="gm-button" data-do="play">Play</button>
        <button type="button" class="gm-button" data-do="step">Step</button>
        <button type="button" class="gm-button" data-do="noise">New noise</button>
        <label>Digit <select name="digit">${options.join("")}</select></label></div>
        <div class="gm-live-walk"><fieldset class="gm-live-choice"><legend>Sampler</legend>${choices.join("")}</fieldset></div>`,
      values(state) {
        const { to, guesses, times: all } = current(state);
        const goal = stepAt(all, state.t);
        // Few steps are taken to the end, so that the strip is full.
        const sight = state.way === "ddim" ? all.length - 1 : goal;
        const reached = to(sight, SLICE);
        const at = Math.min(goal, reached);
        return {
          at, more: reached < sight, shown: `${at} of ${all.length - 1}, t = ${all[at]}`, signal: alphaBar[all[at]],
          far: rms(guesses[at], digits[state.digit]),
        };
      },
      say: (values) => `Step ${values.shown}: the guess differs from the digit by ${print(values.far, 2)}`,
      build: builder(digits, current),
    };
  }

  lazyFigure("dif-digit", specify);
})();
