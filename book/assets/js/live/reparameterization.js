// A gradient through chance: two estimators of d/dmu E[f(z)] for f(z) = z^2 and z ~ N(mu, sigma^2), true value 2 mu.
// The noise is fixed; the reader moves mu and sigma, and the samples z = mu + sigma eps slide along.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["reparameterization"]`.
(function () {
  "use strict";

  const { clamp, print, svg, line, whole, ticks, figure, refresh, fit } = window.genmodelsLive.common;

  // 24 draws of a standard normal, to two decimals and sorted: in Python, with `generator = random.Random(11)`,
  // `statistics.NormalDist().inv_cdf(generator.random())` 24 times. tools/stills.py draws the same ones, and a test compares.
  const NOISE = [
    -2.17, -1.73, -1.56, -1.34, -1.32, -1, -0.9, -0.51, -0.12, -0.09, 0.02, 0.03,
    0.07, 0.15, 0.22, 0.29, 0.33, 0.4, 0.51, 0.82, 0.88, 1.43, 1.81, 2.1,
  ];

  // ---------------------------------------------------------------- the mathematics

  const f = (z) => z * z;
  const slope = (z) => 2 * z;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  // One sample's estimate: f'(z), and f(z) times the score d/dmu log q(z) = (z - mu) / sigma^2.
  const pathwise = (mu, sigma, eps) => slope(mu + sigma * eps);
  const score = (mu, sigma, eps) => f(mu + sigma * eps) * eps / sigma;

  function terms({ mu, sigma }) {
    const pathwiseVariance = 4 * sigma ** 2;
    const scoreVariance = mu ** 4 / sigma ** 2 + 14 * mu ** 2 + 15 * sigma ** 2;
    return {
      gradient: 2 * mu,
      pathwise: mean(NOISE.map((eps) => pathwise(mu, sigma, eps))),
      score: mean(NOISE.map((eps) => score(mu, sigma, eps))),
      pathwiseVariance,
      scoreVariance,
      ratio: scoreVariance / pathwiseVariance,
    };
  }

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    mu: { min: -2, max: 2, step: 0.01, text: "mean <i>μ</i>" },
    sigma: { min: 0.1, max: 2, log: 108, text: "standard deviation <i>σ</i>" }, // 1 is one of its 108 steps
  };
  const START = { mu: 1, sigma: 1 };
  const Z = { min: -6.4, max: 6.4 };
  const TANGENTS = [1, 6, 11, 16, 22]; // which samples show their slope
  const DECADES = { min: -2, max: 4 };

  function build({ id, find, slider, place, dragSideways }) {
    const under = svg("g");
    const plot = svg("svg", { role: "group", "aria-label": "Noise, samples and their values", "aria-describedby": `${id}-text` },
      under, slider("mu", "Mean"), slider("sigma", "Standard deviation"));
    const bars = svg("svg", { "aria-hidden": "true" });
    find(".gm-live-plot").append(plot);
    find(".gm-live-bar").append(bars);
    let zPerPixel = 0;
    dragSideways(plot, () => zPerPixel);

    return function draw({ mu, sigma }, values, width) {
      const small = width < 480;
      const rows = { noise: 38, z: 118, spread: 142, top: 172, bottom: small ? 290 : 330 };
      const height = rows.bottom + 26;
      const box = { left: 8, right: width - 8 };
      const samples = NOISE.map((eps) => mu + sigma * eps);
      const top = Math.max(4, 1.05 * Math.max(...samples.map(f))); // a parabola, even when all samples are near zero
      const at = (z) => box.left + (z - Z.min) / (Z.max - Z.min) * (box.right - box.left);
      zPerPixel = (Z.max - Z.min) / (box.right - box.left);
      const y = (value) => rows.bottom - value / top * (rows.bottom - rows.top);
      fit(plot, width, height);

      const edge = Math.min(Z.max, Math.sqrt(top));
      const parabola = line(whole(-60, 60).map((i) => [at(edge * i / 60), y(f(edge * i / 60))]));
      const tangents = TANGENTS.map((i) => {
        const [x, level] = [at(samples[i]), y(f(samples[i]))];
        const rise = slope(samples[i]) * zPerPixel * (rows.bottom - rows.top) / top; // in pixels, one to the right
        const [dx, dy] = [24 / Math.hypot(1, rise), 24 * rise / Math.hypot(1, rise)];
        return line([[x - dx, level + dy], [x + dx, level - dy]]);
      });
      const axes = svg("g", { class: "gm-axis" },
        svg("line", { x1: at(-2.5), x2: at(2.5), y1: rows.noise, y2: rows.noise }),
        ...whole(-2, 2).map((eps) => svg("text", { x: at(eps), y: rows.noise - 12 }, print(eps, 0))),
        svg("line", { x1: box.left, x2: box.right, y1: rows.z, y2: rows.z }),
        svg("line", { x1: box.left, x2: box.right, y1: rows.bottom, y2: rows.bottom }),
        ...ticks({ values: whole(-6, small ? 4 : 5, small ? 2 : 1), at, y: rows.bottom }),
        svg("text", { x: box.right, y: rows.bottom + 18, class: "gm-axis-name" }, "z"),
      );
      refresh(under,
        axes,
        svg("path", { class: "gm-r-threads", d: NOISE.map((eps, i) => line([[at(eps), rows.noise], [at(samples[i]), rows.z]])).join("") }),
        svg("path", { class: "gm-r-drops", d: samples.map((z) => line([[at(z), rows.z], [at(z), y(f(z))]])).join("") }),
        svg("path", { class: "gm-r-noise", d: NOISE.map((eps) => line([[at(eps), rows.noise - 6], [at(eps), rows.noise + 6]])).join("") }),
        svg("path", { class: "gm-r-parabola", d: parabola }),
        svg("path", { class: "gm-r-tangents", d: tangents.join("") }),
        ...samples.map((z) => svg("circle", { class: "gm-r-sample", cx: at(z).toFixed(1), cy: rows.z, r: 2.5 })),
        ...samples.map((z) => svg("circle", { class: "gm-r-sample", cx: at(z).toFixed(1), cy: y(f(z)).toFixed(1), r: 2.5 })),
        svg("path", { class: "gm-r-spread", d: line([[at(mu), rows.z], [at(mu), rows.spread + 5]]) + line([[at(mu), rows.spread], [at(mu + sigma), rows.spread]]) }),
        svg("text", { x: box.left, y: rows.noise + 4 }, "noise ε"),
        svg("text", { x: box.left, y: rows.z - 8 }, small ? "z = μ + σε" : "samples z = μ + σε"),
        // Nothing else is drawn below the parabola.
        svg("text", { x: box.left, y: rows.bottom - 26 }, "f(z) = z²"),
        svg("text", { x: box.left, y: rows.bottom - 9 }, "some slopes f′(z)"),
      );
      place("mu", at(mu), rows.z);
      place("sigma", at(mu + sigma), rows.spread);
      drawBars(values, width);
    };

    function drawBars(values, width) {
      const box = { left: 8, right: width - 8, bottom: 88 };
      const at = (variance) => box.left + (clamp(Math.log10(variance), DECADES) - DECADES.min) / (DECADES.max - DECADES.min) * (box.right - box.left);
      fit(bars, width, box.bottom + 24);
      const bar = (variance, y, kind, text) => [
        svg("rect", { x: box.left, y, width: at(variance) - box.left, height: 18, class: kind }),
        svg("text", { x: box.left, y: y - 6 }, text),
      ];
      refresh(bars,
        svg("g", { class: "gm-axis" },
          svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
          ...ticks({ values: whole(DECADES.min, DECADES.max).map((power) => 10 ** power), at, y: box.bottom, text: (v) => (v > 1000 ? "" : String(v)), flush: true })),
        ...bar(values.pathwiseVariance, 22, "gm-b-elbo", "variance of one pathwise sample"),
        ...bar(values.scoreVariance, 64, "gm-b-score", "variance of one score-function sample"),
      );
    }
  }

  window.genmodelsLive["reparameterization"] = { NOISE, START, RANGES, pathwise, score, terms };

  figure("reparameterization", {
    label: "Two gradient estimators, to move",
    description: `24 ticks of fixed noise on an upper axis; a line leads from each to its sample z, the mean plus the standard
      deviation times the noise, and from there down to its value on the parabola f(z) = z squared, where some samples show
      the slope. One handle is at the mean, one a standard deviation to the right. Below, two bars on a logarithmic
      scale: the variance of one sample of each estimator. The numbers are printed below the bars.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div><div class="gm-live-bar"></div>`,
    numbers: [
      { name: "pathwiseVariance", text: "variance, pathwise" },
      { name: "scoreVariance", text: "variance, score function" },
      { name: "ratio", text: "their ratio", class: "gm-n-ratio" },
      { name: "pathwise", text: "pathwise, mean of 24" },
      { name: "score", text: "score function, mean of 24" },
      { name: "gradient", text: "true gradient, 2<i>μ</i>" },
    ],
    values: terms,
    say: (values) => `Variance ${print(values.pathwiseVariance, 2)} pathwise, ${print(values.scoreVariance, 2)} with the score
      function, ${print(values.ratio, 1)} times as much`,
    build,
  });
})();
