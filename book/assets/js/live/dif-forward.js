// The forward process on a line, and four answers to the question where x was one step earlier: q(x_{t-1}) alone, given
// x_0, given x_t, and given both. The data are the mixture of the chapters on diffusion, the schedule is a cosine of 20 steps, so
// that a step is large enough to be seen. Everything is a mixture of Gaussians.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["dif-forward"]`.
(function () {
  "use strict";

  const { clamp, print, svg, line, over, setAll, refresh, fit, whole, ticks, nudge, figure } = window.genmodelsLive.common;
  const T = 20;
  const { alpha, alphaBar, beta } = window.genmodelsLive.dif.cosine(T);
  const DATA = [{ weight: 0.3, mean: -1, variance: 0.04 }, { weight: 0.7, mean: 1, variance: 0.04 }];

  // ---------------------------------------------------------------- the mathematics
  // A distribution is a list of Gaussian parts; a part of variance 0 is a point.

  const point = (mean) => [{ weight: 1, mean, variance: 0 }];
  const logNormal = (x, mean, variance) => -0.5 * (Math.log(2 * Math.PI * variance) + (x - mean) ** 2 / variance);
  const density = (parts, x) => parts.reduce((sum, { weight, mean, variance }) => sum + weight * Math.exp(logNormal(x, mean, variance)), 0);

  // The same at many places, with what does not depend on the place computed once for each part.
  function densities(parts, places) {
    const found = new Float64Array(places.length);
    for (const { weight, mean, variance } of parts) {
      const highest = weight / Math.sqrt(2 * Math.PI * variance);
      for (let i = 0; i < found.length; i++) found[i] += highest * Math.exp(-0.5 * (places[i] - mean) ** 2 / variance);
    }
    return found;
  }

  function moments(parts) {
    const mean = parts.reduce((sum, part) => sum + part.weight * part.mean, 0);
    const variance = parts.reduce((sum, part) => sum + part.weight * (part.variance + (part.mean - mean) ** 2), 0);
    return { mean, sd: Math.sqrt(variance) };
  }

  // Of x_s, if x_0 is distributed as `parts`.
  function noised(parts, s) {
    const kept = alphaBar[s];
    return parts.map(({ weight, mean, variance }) => ({ weight, mean: Math.sqrt(kept) * mean, variance: kept * variance + 1 - kept }));
  }

  // Of x_s, distributed as `parts`, once x_t is known, of whose variance x_s makes the share `kept`: Bayes' rule for each part.
  function given(parts, xt, kept) {
    const found = parts.map(({ weight, mean, variance }) => {
      const total = kept * variance + 1 - kept; // the variance of x_t
      const away = xt - Math.sqrt(kept) * mean;
      return {
        log: Math.log(weight) + logNormal(away, 0, total),
        mean: mean + Math.sqrt(kept) * variance / total * away,
        variance: variance * (1 - kept) / total,
      };
    });
    const most = Math.max(...found.map((part) => part.log));
    const sum = found.reduce((whole_, part) => whole_ + Math.exp(part.log - most), 0);
    return found.map(({ log, mean, variance }) => ({ weight: Math.exp(log - most) / sum, mean, variance }));
  }

  function answers({ t, xt, x0 }) {
    const [alone, image] = [noised(DATA, t - 1), noised(point(x0), t - 1)];
    return { alone, image, step: given(alone, xt, alpha[t]), posterior: given(image, xt, alpha[t]) };
  }

  // Where the walk may have been between x_0 and x_t: the part of each time from 0 to t.
  const between = ({ t, xt, x0 }) => whole(0, t).map((s) => given(noised(point(x0), s), xt, alphaBar[t] / alphaBar[s])[0]);

  function terms(state) {
    const found = answers(state);
    const each = Object.fromEntries(Object.entries(found).map(([name, parts]) => [name, moments(parts)]));
    return { ...each, right: found.step[1].weight, beta: beta[state.t], alphaBar: alphaBar[state.t] };
  }

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    t: { min: 1, max: T, step: 1, digits: 0, text: "time <i>t</i>" },
    xt: { min: -3, max: 3, step: 0.01, text: "<i>x<sub>t</sub></i>, the end of the walk" },
    x0: { min: -2, max: 2, step: 0.01, text: "<i>x</i><sub>0</sub>, its beginning" },
  };
  const START = { t: 7, xt: -0.1, x0: 1 };
  const X = { min: -3.2, max: 3.2 };
  const GRID = Float64Array.from(whole(0, 320), (i) => X.min + (X.max - X.min) * i / 320);
  const HIGHEST = { min: 0.6, max: 2.6 }; // a density beyond it runs out of the picture
  const NAMES = {
    alone: "<i>q</i>(<i>x</i><sub><i>t</i>−1</sub>)",
    image: "<i>q</i>(<i>x</i><sub><i>t</i>−1</sub> | <i>x</i><sub>0</sub>)",
    step: "<i>q</i>(<i>x</i><sub><i>t</i>−1</sub> | <i>x<sub>t</sub></i>)",
    posterior: "<i>q</i>(<i>x</i><sub><i>t</i>−1</sub> | <i>x<sub>t</sub></i>, <i>x</i><sub>0</sub>)",
  };
  const TIMES = { ArrowUp: -1, ArrowDown: 1, PageUp: -5, PageDown: 5 };

  function build({ id, find, set, handle, slider, place, nearest, drag, state, stop }) {
    const ridges = svg("g");
    const moving = svg("g");
    const end = handle("end", { "aria-label": "x t, the end of the walk", "aria-valuemin": RANGES.xt.min, "aria-valuemax": RANGES.xt.max });
    const plot = svg("svg", { role: "group", "aria-label": "Plot over x and t", "aria-describedby": `${id}-text` },
      ridges, moving, slider("x0", "x 0, the beginning of the walk"), end);
    find(".gm-live-plot").append(plot);

    let box = {};
    const x = (value) => box.left + (value - X.min) / (X.max - X.min) * (box.right - box.left);
    const row = (s) => box.zero + box.gap * s;
    let trace = null;
    let drawn = []; // the density of x_t at each t, drawn

    // What stays as it is until the width changes: the density of x_t at each t, and the axes.
    function resize(width) {
      const small = width < 480;
      const [zero, gap, unit, high] = small ? [72, 9, 36, 130] : [88, 10, 48, 150];
      const top = zero + T * gap + 42;
      box = { left: 34, right: width - 6, zero, gap, unit, top, base: top + high };
      fit(plot, width, box.base + 26);
      trace = over(Array.from(GRID, x));
      drawn = whole(0, T).map((s) => {
        const found = densities(noised(DATA, s), GRID);
        return trace((i) => row(s) - box.unit * found[i]);
      });
      refresh(ridges,
        svg("clipPath", { id: `${id}-panel` }, svg("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.base - box.top })),
        ...drawn.map((d) => svg("path", { class: "gm-f-ridge", d })),
        svg("g", { class: "gm-axis" },
          ...whole(0, T, 5).map((s) => svg("text", { class: "gm-axis-last", x: box.left - 8, y: row(s) + 4 }, String(s))),
          svg("text", { class: "gm-axis-name", x: box.left - 8, y: row(0) - 18 }, "t"),
          svg("line", { x1: box.left, x2: box.right, y1: box.base, y2: box.base }),
          ...ticks({ values: whole(-3, 2), at: x, y: box.base }),
          svg("text", { class: "gm-axis-name", x: box.right, y: box.base + 18 }, "x")),
        svg("text", { x: box.left, y: 14 }, "density of x at each time t"),
        svg("text", { x: box.left, y: box.top - 10 }, "four densities of x one step earlier"),
      );
    }

    // A point has no density: it is a line from top to bottom.
    function curve(name, parts, found, y) {
      const place = x(parts[0].mean);
      const d = found ? trace((i) => y(found[i])) : line([[place, box.base], [place, box.top]]);
      return svg("path", { class: `gm-f-${name}`, d, "clip-path": `url(#${id}-panel)` });
    }

    let drawnAt = 0;
    function draw(now, values, width) {
      if (width !== drawnAt) resize(width);
      drawnAt = width;
      const { t, xt, x0 } = now;
      const found = answers(now);
      const heights = Object.fromEntries(Object.entries(found)
        .map(([name, parts]) => [name, parts[0].variance > 0 ? densities(parts, GRID) : null]));
      const highest = clamp(1.08 * Math.max(...Object.values(heights).map((each) => (each ? Math.max(...each) : 0))), HIGHEST);
      const y = (p) => box.base - p / highest * (box.base - box.top);
      const way = between(now);
      const edge = (sign) => way.map(({ mean, variance }, s) => [x(mean + sign * Math.sqrt(variance)), row(s)]);
      // x_t's name stands away from the band, unless there is no room.
      const room = Math.min(x(xt) - box.left, box.right - x(xt)) > 30;
      const side = (room ? way[t - 1].mean > xt : xt > 0) ? -1 : 1;
      refresh(moving,
        svg("path", { class: "gm-f-before", d: drawn[t - 1] }),
        svg("path", { class: "gm-f-band", d: line([...edge(-1), ...edge(1).reverse()]) + "Z" }),
        svg("path", { class: "gm-f-way", d: line(way.map(({ mean }, s) => [x(mean), row(s)])) }),
        svg("path", { class: "gm-g-half", d: line([[x(xt), row(t)], [x(xt), box.base]]) }),
        svg("circle", { class: "gm-f-dot", cx: x(way[t - 1].mean).toFixed(1), cy: row(t - 1), r: 3.5 }),
        ...["alone", "image", "step", "posterior"].map((name) => curve(name, found[name], heights[name], y)),
        svg("text", { class: "gm-f-name gm-f-name-x0", x: x(x0) + 12, y: row(0) - 8 }, "x₀"),
        svg("text", { class: "gm-f-name gm-f-name-xt", x: x(xt) + 12 * side, y: row(t) + 5, "text-anchor": side < 0 ? "end" : "start" }, "xₜ"),
      );
      place("x0", x(x0), row(0));
      place("end", x(xt), row(t));
      setAll(end, { "aria-valuenow": Number(xt.toFixed(3)), "aria-valuetext": `x t ${print(xt, 2)} at t ${t}` });
    }

    end.addEventListener("keydown", (event) => {
      const change = event.key in TIMES
        ? { t: clamp(state().t + TIMES[event.key], RANGES.t) }
        : { xt: nudge(event.key, state().xt, RANGES.xt) };
      if (change.xt === undefined && change.t === undefined) return;
      event.preventDefault();
      stop();
      set(change);
    });

    // A mouse takes the nearer end of the walk from anywhere. A finger takes the one that it touches; elsewhere it scrolls the page.
    const held = (event) => event.target.closest("[data-handle]") !== null;
    plot.addEventListener("touchstart", (event) => { if (held(event)) event.preventDefault(); }, { passive: false });
    drag(plot, (event) => {
      if (event.pointerType === "touch" && !held(event)) return null;
      const taken = nearest(plot, event);
      const begun = { x: event.clientX, y: event.clientY, ...state() };
      const perPixel = (X.max - X.min) / (box.right - box.left);
      plot.querySelector(`[data-handle=${taken}]`).focus({ preventScroll: true });
      return (e) => {
        const by = (e.clientX - begun.x) * perPixel;
        if (taken === "x0") set({ x0: clamp(begun.x0 + by, RANGES.x0) });
        else set({ xt: clamp(begun.xt + by, RANGES.xt), t: clamp(begun.t + Math.round((e.clientY - begun.y) / box.gap), RANGES.t) });
      };
    });
    return draw;
  }

  const swatch = (name) => `<svg class="gm-f-swatch" viewBox="0 0 30 10" aria-hidden="true"><path class="gm-f-${name}" d="M1 5H29"/></svg>`;
  const rows = Object.entries(NAMES).map(([name, text]) => `
    <tr><th scope="row">${swatch(name)} ${text}</th>
      <td><output data-out="${name}Mean" aria-live="off"></output></td><td><output data-out="${name}Sd" aria-live="off"></output></td></tr>`);

  window.genmodelsLive["dif-forward"] = { T, DATA, START, RANGES, answers, between, density, moments, noised, terms };

  figure("dif-forward", {
    label: "The forward process and four answers, to move",
    description: `Above, the density of x at each of ${T} times, from two narrow humps at t = 0 to one broad bell at t = ${T}. A
      walk begins at x 0, in the top row, and ends at x t, in the row of t. Both are handles; for x t the arrow keys up and down
      change t. A band between them shows where the walk may have been. Below, over the same line, four densities of x one step
      earlier: alone, given x 0, given x t, and given both. Their means and standard deviations stand in the table below.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div>
      <table class="gm-live-table"><thead><tr><th scope="col">one step earlier</th><th scope="col">mean</th>
        <th scope="col">standard deviation</th></tr></thead><tbody>${rows.join("")}</tbody></table>`,
    numbers: [
      { name: "beta", text: "variance <i>β<sub>t</sub></i> that the step adds" },
      { name: "alphaBar", text: "<i>ᾱ<sub>t</sub></i>, what is left of <i>x</i><sub>0</sub>’s variance" },
      { name: "rightText", text: "of the walks to this <i>x<sub>t</sub></i> began in the right hump" },
    ],
    values(state) {
      const found = terms(state);
      const printed = Object.keys(NAMES).flatMap((name) => [[`${name}Mean`, found[name].mean], [`${name}Sd`, found[name].sd]]);
      return { ...found, ...Object.fromEntries(printed), rightText: `${print(100 * found.right, 1)} %` };
    },
    say: (values, { t }) => `t ${t}: one step earlier, given x t and x 0, mean ${print(values.posteriorMean)}, standard deviation
      ${print(values.posteriorSd)}; given x t alone ${print(values.stepMean)}, ${print(values.stepSd)}; given x 0 alone
      ${print(values.imageMean)}, ${print(values.imageSd)}`,
    build,
  });
})();
