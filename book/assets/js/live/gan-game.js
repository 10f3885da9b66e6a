// The game against the best discriminator, on a line: the data are a mixture of two Gaussians, the generator makes
// G(z) = mu + sigma z of a standard normal z. The reader moves mu and sigma; D* follows, and with it the divergence
// and the gradients of the generator's two losses. Integrals are sums over a fine grid.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["gan-game"]`.
(function () {
  "use strict";

  const { clamp, print, scientific, svg, line, whole, ticks, figure, refresh, fit } = window.genmodelsLive.common;
  const DATA = { means: [-1.5, 1.5], sigma: 0.5 }; // half the mass each
  const LOG_2PI = Math.log(2 * Math.PI);

  // ---------------------------------------------------------------- the mathematics: all in nats

  const logNormal = (x, mean, sigma) => -0.5 * (LOG_2PI + ((x - mean) / sigma) ** 2) - Math.log(sigma);
  const softplus = (t) => Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t)));
  const sigmoid = (t) => Math.exp(-softplus(-t));

  function logAdd(a, b) {
    const most = Math.max(a, b);
    return most + Math.log1p(Math.exp(Math.min(a, b) - most));
  }

  const logData = (x) => logAdd(...DATA.means.map((mean) => logNormal(x, mean, DATA.sigma))) - Math.LN2;

  // d/dx log p_data(x): each component's slope, by how probable it is that x came from it.
  function slopeData(x) {
    const [left, right] = DATA.means.map((mean) => logNormal(x, mean, DATA.sigma));
    const fromRight = sigmoid(right - left);
    return ((1 - fromRight) * (DATA.means[0] - x) + fromRight * (DATA.means[1] - x)) / DATA.sigma ** 2;
  }

  // The logit of D* is log p_data(x) - log p_G(x).
  const logit = (x, { mu, sigma }) => logData(x) - logNormal(x, mu, sigma);
  const best = (x, state) => sigmoid(logit(x, state));

  // How a sample at x is pulled, minus the derivative of each loss with respect to x, while D* is held fixed.
  function pulls(x, state) {
    const d = best(x, state);
    const slope = slopeData(x) - (state.mu - x) / state.sigma ** 2; // of the logit
    return { minimax: d * slope, nonSaturating: (1 - d) * slope };
  }

  // So fine and so wide that what is left out is below 1e-12 for all means and widths of the figure.
  const SPACING = 0.025;
  const GRID = Float64Array.from({ length: 1681 }, (_, i) => -21 + SPACING * i);
  const ON_GRID = { log: GRID.map(logData), slope: GRID.map(slopeData) };

  function terms({ mu, sigma }) {
    const sum = { value: 0, jsd: 0, fooled: 0, minimax: 0, nonSaturating: 0 };
    GRID.forEach((x, i) => {
      const [logP, logQ] = [ON_GRID.log[i], logNormal(x, mu, sigma)];
      const [p, q] = [Math.exp(logP), Math.exp(logQ)];
      const mixture = logAdd(logP, logQ) - Math.LN2;
      const d = sigmoid(logP - logQ);
      const slope = ON_GRID.slope[i] - (mu - x) / sigma ** 2;
      // The value from D*, and the divergence from the mixture, so that they can be compared.
      sum.value -= p * softplus(logQ - logP) + q * softplus(logP - logQ);
      sum.jsd += 0.5 * (p * (logP - mixture) + q * (logQ - mixture));
      sum.fooled += q * d;
      sum.minimax -= q * d * slope;
      sum.nonSaturating -= q * sigmoid(logQ - logP) * slope;
    });
    return Object.fromEntries(Object.entries(sum).map(([name, value]) => [name, SPACING * value]));
  }

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    mu: { min: -5, max: 5, step: 0.01, text: "mean <i>μ</i> of the generator" },
    sigma: { min: 0.2, max: 2, step: 0.01, text: "its standard deviation <i>σ</i>" },
  };
  const START = { mu: 1.2, sigma: 0.8 };
  const X = { min: -7, max: 7 };
  const CODES = [-1.47, -0.79, -0.37, 0, 0.37, 0.79, 1.47]; // the middles of seven equal parts of a standard normal
  const STEP = 0.2;
  const DECADES = { min: -5, max: 2 };

  // Small numbers by their first digits: how small they are is what the figure is about. Below 1e-12 it is rounding.
  function digits(value) {
    return Math.abs(value) >= 0.001 || Math.abs(value) < 1e-12 ? print(value) : scientific(value);
  }

  function build({ id, find, glide, slider, place, dragSideways, state }) {
    const under = svg("g");
    const plot = svg("svg", { role: "group", "aria-label": "Plot over x", "aria-describedby": `${id}-text` },
      under, slider("mu", "Mean of the generator"), slider("sigma", "Standard deviation of the generator"));
    const bars = svg("svg", { "aria-hidden": "true" });
    find(".gm-live-plot").append(plot);
    find(".gm-live-bar").append(bars);
    let xPerPixel = 0;
    dragSideways(plot, () => xPerPixel);
    for (const name of ["minimax", "nonSaturating"]) {
      find(`[data-do=${name}]`).addEventListener("click", () => {
        glide({ mu: clamp(state().mu - STEP * terms(state())[name], RANGES.mu) });
      });
    }

    return function draw(now, values, width) {
      const { mu, sigma } = now;
      const small = width < 480;
      const rows = small
        ? { top: 34, base: 142, minimax: 178, nonSaturating: 246, one: 324, zero: 380 }
        : { top: 34, base: 162, minimax: 198, nonSaturating: 266, one: 344, zero: 414 };
      const height = rows.zero + 26;
      const box = { left: 20, right: width - 8 };
      const at = (x) => box.left + (x - X.min) / (X.max - X.min) * (box.right - box.left);
      xPerPixel = (X.max - X.min) / (box.right - box.left);
      const data = (x) => Math.exp(logData(x));
      const generator = (x) => Math.exp(logNormal(x, mu, sigma));
      const highest = 1.08 * Math.max(data(DATA.means[1]), generator(mu));
      const y = (p) => rows.base - p / highest * (rows.base - rows.top);
      const d = (share) => rows.zero - share * (rows.zero - rows.one);
      const grid = whole(0, 350).map((i) => X.min + (X.max - X.min) * i / 350);
      const curve = (f, scale) => line(grid.map((x) => [at(x), scale(f(x))]));
      fit(plot, width, height);
      refresh(under,
        svg("g", { class: "gm-axis" },
          svg("line", { x1: box.left, x2: box.right, y1: rows.base, y2: rows.base }),
          svg("line", { x1: box.left, x2: box.right, y1: rows.zero, y2: rows.zero }),
          ...ticks({ values: whole(-6, 6, small ? 2 : 1), at, y: rows.zero }),
          ...[["1", 1], ["½", 0.5], ["0", 0]].map(([text, share]) => svg("text", { x: box.left - 6, y: d(share) + 4, class: "gm-axis-last" }, text)),
          svg("text", { x: box.right, y: rows.zero + 18, class: "gm-axis-name" }, "x")),
        svg("path", { class: "gm-g-data-fill", d: curve(data, y) + `L${box.right} ${rows.base}L${box.left} ${rows.base}Z` }),
        svg("path", { class: "gm-g-data", d: curve(data, y) }),
        svg("path", { class: "gm-g-gen", d: curve(generator, y) }),
        ...pulled(now, "minimax", rows.minimax, at),
        ...pulled(now, "nonSaturating", rows.nonSaturating, at),
        svg("path", { class: "gm-g-half", d: line([[box.left, d(0.5)], [box.right, d(0.5)]]) }),
        svg("path", { class: "gm-g-best", d: curve((x) => best(x, now), d) }),
        svg("text", { x: box.left, y: rows.minimax - 12 }, "samples, and a step down the minimax loss"),
        svg("text", { x: box.left, y: rows.nonSaturating - 12 }, "a step down the non-saturating loss"),
        svg("text", { x: box.left, y: rows.one - 10 }, "best discriminator D*(x)"),
        // The data's name stands at the mode that the generator is further from, the generator's above its handle.
        svg("text", { x: at(mu < 0 ? 2.1 : -2.1), y: y(data(1.95)), class: "gm-t-data", "text-anchor": mu < 0 ? "start" : "end" }, "data"),
        svg("text", { x: clamp(at(mu), { min: box.left + 32, max: box.right - 32 }), y: y(generator(mu)) - 16, class: "gm-t-exact gm-t-middle" }, "generator"),
      );
      place("mu", at(mu), y(generator(mu)));
      place("sigma", at(mu + sigma), y(generator(mu + sigma)));
      drawBars(values, width);
    };

    // Each sample on a line of its own, and the way on which a step of size STEP would take it.
    function pulled(now, loss, top, at) {
      return CODES.flatMap((z, i) => {
        const x = now.mu + now.sigma * z;
        if (x < X.min || x > X.max) return [];
        const level = top + 6 * i;
        const [from, to] = [at(x), at(x + STEP * pulls(x, now)[loss])];
        const back = Math.sign(from - to) * Math.min(5, Math.abs(from - to));
        const head = Math.abs(from - to) < 1 ? "" : line([[to + back, level - 3], [to, level], [to + back, level + 3]]);
        return [
          svg("path", { class: `gm-g-pull gm-g-${loss}`, d: line([[from, level], [to, level]]) + head }),
          svg("circle", { class: "gm-g-sample", cx: from.toFixed(1), cy: level, r: 2 }),
        ];
      });
    }

    function drawBars(values, width) {
      const box = { left: 8, right: width - 8, bottom: 138 };
      const full = box.right - box.left;
      const at = (size) => box.left + (clamp(Math.log10(size), DECADES) - DECADES.min) / (DECADES.max - DECADES.min) * full;
      fit(bars, width, box.bottom + 24);
      const bar = (length, y, kind, text) => [
        svg("rect", { x: box.left, y, width: Math.max(0, length), height: 18, class: kind }),
        svg("text", { x: box.left, y: y - 6 }, text),
      ];
      const [small, large] = [Math.abs(values.minimax), Math.abs(values.nonSaturating)];
      refresh(bars,
        svg("rect", { x: box.left, y: 22, width: full, height: 18, class: "gm-b-gap" }),
        ...bar(full * values.jsd / Math.LN2, 22, "gm-b-divergence", "Jensen–Shannon divergence, from 0 to log 2"),
        svg("g", { class: "gm-axis" },
          svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
          ...ticks({
            values: whole(DECADES.min, DECADES.max).map((power) => 10 ** power), at, y: box.bottom, flush: true,
            text: (size) => (size < 0.00002 ? "10⁻⁵" : size < 0.0002 ? "" : String(size)),
          })),
        ...bar(at(small) - box.left, 72, "gm-b-score", "size of the gradient, minimax"),
        ...bar(at(large) - box.left, 114, "gm-b-model", "size of the gradient, non-saturating"),
      );
    }
  }

  window.genmodelsLive["gan-game"] = { DATA, START, RANGES, STEP, CODES, logData, best, pulls, terms, digits };

  figure("gan-game", {
    label: "A generator against the best discriminator, to move",
    description: `Two densities over x: the data, with two modes, and the generator, a bell curve with one handle at its
      mean and one a standard deviation to the right. Below them seven samples of the generator, twice, each with an arrow
      along a step down one of its two losses. Below these the best discriminator, near 1 where only data are and near 0
      where only the generator is. Then three bars: the Jensen-Shannon divergence, and on a logarithmic scale the
      sizes of the two gradients with respect to the mean. The numbers are printed below the bars.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div><div class="gm-live-bar"></div>`,
    numbers: [
      { name: "jsd", text: "Jensen–Shannon divergence" },
      { name: "value", text: "value <i>V</i>(<i>G</i>, <i>D</i>*)" },
      { name: "fooled", text: "mean of <i>D</i>*(<i>G</i>(<i>z</i>))" },
      { name: "minimaxText", text: "d/d<i>μ</i> of the minimax loss" },
      { name: "nonSaturatingText", text: "d/d<i>μ</i> of the non-saturating loss", class: "gm-n-model" },
    ],
    controls: `<div class="gm-live-walk">
      <button type="button" class="gm-button" data-do="minimax">Step down the minimax loss</button>
      <button type="button" class="gm-button" data-do="nonSaturating">Step down the non-saturating loss</button></div>`,
    values(state) {
      const found = terms(state);
      return { ...found, minimaxText: digits(found.minimax), nonSaturatingText: digits(found.nonSaturating) };
    },
    say: (values) => `Jensen-Shannon divergence ${print(values.jsd)}, mean of D of G of z ${print(values.fooled)}; gradient
      ${values.minimaxText} with the minimax loss, ${values.nonSaturatingText} with the non-saturating loss`,
    build,
  });
})();
