// The bound and its gap, in a model that can be solved exactly: p(z) = N(0, 1), p(x | z) = N(w z, s2).
// The reader moves x and an approximate posterior q(z) = N(mu, sigma^2). Everything is a closed form.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["elbo-gap"]`.
(function () {
  "use strict";

  const { clamp, print, svg, over, setAll, refresh, fit, whole, ticks, figure } = window.genmodelsLive.common;
  const MODEL = { w: 1, s2: 1 };
  const LOG_2PI = Math.log(2 * Math.PI);

  // ---------------------------------------------------------------- the mathematics: all in nats

  function density(z, mean, variance) {
    return Math.exp(-0.5 * (z - mean) ** 2 / variance) / Math.sqrt(2 * Math.PI * variance);
  }

  // p(z | x), by conditioning the joint Gaussian of z and x.
  function posterior(x, { w, s2 } = MODEL) {
    const variance = 1 / (1 + w * w / s2);
    return { mean: variance * w * x / s2, variance };
  }

  function logProb(x, { w, s2 } = MODEL) {
    const variance = w * w + s2;
    return -0.5 * (LOG_2PI + Math.log(variance) + x * x / variance);
  }

  // KL(N(m1, v1) || N(m2, v2))
  function kl(m1, v1, m2, v2) {
    const ratio = Math.log(v1 / v2);
    return 0.5 * (Math.expm1(ratio) - ratio + (m1 - m2) ** 2 / v2);
  }

  // The ELBO is computed from its own two terms, not from log p(x) and the gap, so that they can be compared.
  function terms({ x, mu, sigma }, model = MODEL) {
    const { w, s2 } = model;
    const variance = sigma * sigma;
    const exact = posterior(x, model);
    const recon = -0.5 * (LOG_2PI + Math.log(s2) + ((x - w * mu) ** 2 + w * w * variance) / s2);
    const klPrior = kl(mu, variance, 0, 1);
    return {
      logProb: logProb(x, model),
      recon,
      klPrior,
      elbo: recon - klPrior,
      gap: kl(mu, variance, exact.mean, exact.variance),
    };
  }

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    mu: { min: -3, max: 3, step: 0.01, text: "mean <i>μ</i> of <i>q</i>" },
    sigma: { min: 0.2, max: 2, step: 0.01, text: "standard deviation <i>σ</i> of <i>q</i>" },
    x: { min: -3, max: 3, step: 0.01, text: "observation <i>x</i>" },
  };
  const START = { x: 2, mu: -0.6, sigma: 0.9 };
  const Z = { min: -4, max: 4 };
  const NATS = { min: -10, max: 0 };

  function build({ id, find, set, glide, slider, place, dragSideways, state }) {
    const curves = {
      prior: svg("path", { class: "gm-c-prior" }),
      exact: svg("path", { class: "gm-c-exact" }),
      q: svg("path", { class: "gm-c-q" }),
    };
    const fill = svg("path", { class: "gm-c-q-fill" });
    const texts = {
      prior: svg("text", { class: "gm-t-prior" }, "prior p(z)"),
      exact: svg("text", { class: "gm-t-exact" }, "posterior p(z|x)"),
      q: svg("text", { class: "gm-t-q" }, "q(z)"),
    };
    const axis = svg("g", { class: "gm-axis" });
    const plot = svg("svg", { role: "group", "aria-label": "Plot over z", "aria-describedby": `${id}-text` },
      axis, fill, curves.prior, curves.exact, curves.q, texts.prior, texts.exact, texts.q,
      slider("mu", "Mean of q"), slider("sigma", "Standard deviation of q"));
    const bar = svg("svg", { "aria-hidden": "true" });
    find(".gm-live-plot").append(plot);
    find(".gm-live-bar").append(bar);

    let zPerPixel = 0;
    dragSideways(plot, () => zPerPixel);
    find("[data-do=posterior]").addEventListener("click", () => {
      const { mean, variance } = posterior(state().x);
      glide({ mu: mean, sigma: Math.sqrt(variance) });
    });

    // What stays as it is until the width changes: the axis, the places of the curves, how long the names are.
    const GRID = whole(0, 240).map((i) => Z.min + (Z.max - Z.min) * i / 240);
    let box = {};
    let trace = null;
    let rooms = {};
    const at = (z) => box.left + (z - Z.min) / (Z.max - Z.min) * (box.right - box.left);

    function resize(width) {
      const height = width < 480 ? 210 : 250;
      box = { width, left: 8, right: width - 8, top: 22, bottom: height - 26 };
      zPerPixel = (Z.max - Z.min) / (box.right - box.left);
      trace = over(GRID.map(at));
      fit(plot, width, height);
      refresh(axis,
        svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
        ...ticks({ values: whole(Z.min + 1, Z.max - 1), at, y: box.bottom }),
        svg("text", { x: box.right - 2, y: box.bottom + 18, class: "gm-axis-name" }, "z"),
      );
      rooms = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, text.getComputedTextLength()]));
    }

    return function draw({ x, mu, sigma }, values, width) {
      if (width !== box.width) resize(width);
      const exact = posterior(x);
      const variance = sigma ** 2;
      const peaks = { prior: density(0, 0, 1), exact: density(0, 0, exact.variance), q: density(0, 0, variance) };
      const top = Math.max(peaks.exact, peaks.q) * 1.08;
      const y = (p) => box.bottom - p / top * (box.bottom - box.top);
      const path = (mean, v) => trace((i) => y(density(GRID[i], mean, v)));
      const ofQ = path(mu, variance);
      setAll(curves.prior, { d: path(0, 1) });
      setAll(curves.exact, { d: path(exact.mean, exact.variance) });
      setAll(curves.q, { d: ofQ });
      setAll(fill, { d: `${ofQ}L${box.right} ${box.bottom}L${box.left} ${box.bottom}Z` });
      place("mu", at(mu), y(peaks.q));
      place("sigma", at(mu + sigma), y(density(sigma, 0, variance)));
      name({ mu, sigma }, y, exact, peaks);
      drawBar(values, width);
    };

    // Names stand at their curves: the posterior's and q's away from each other, the prior's on its free flank.
    function name({ mu, sigma }, y, exact, peaks) {
      const left = mu < exact.mean;
      const put = (key, z, p, anchor, dx, dy) => {
        const room = rooms[key];
        const [min, max] = anchor === "end" ? [box.left + room, box.right] : [box.left, box.right - room];
        setAll(texts[key], { "text-anchor": anchor, x: clamp(at(z) + dx, { min, max }).toFixed(1), y: Math.max(12, y(p) + dy).toFixed(1) });
      };
      put("q", mu, peaks.q, left ? "end" : "start", left ? -14 : 14, -3);
      const side = Math.sqrt(exact.variance) * 0.75 * (left ? 1 : -1);
      put("exact", exact.mean + side, density(side, 0, exact.variance), left ? "start" : "end", left ? 8 : -8, -4);
      const flank = left ? -2 : 2;
      const away = Math.abs(mu - flank) < 1.3 && sigma < 1.6 ? -flank : flank;
      put("prior", away, density(away, 0, 1), away < 0 ? "end" : "start", away < 0 ? -4 : 4, -8);
    }

    function drawBar(values, width) {
      const height = 72;
      const box = { left: 8, right: width - 8, top: 24, bottom: 46 };
      const at = (nats) => box.left + (clamp(nats, NATS) - NATS.min) / (NATS.max - NATS.min) * (box.right - box.left);
      const [elbo, full] = [at(values.elbo), at(values.logProb)];
      fit(bar, width, height);
      const parts = [
        svg("rect", { x: box.left, y: box.top, width: Math.max(0, elbo - box.left), height: box.bottom - box.top, class: "gm-b-elbo" }),
        svg("rect", { x: elbo, y: box.top, width: Math.max(0, full - elbo), height: box.bottom - box.top, class: "gm-b-gap" }),
        svg("line", { x1: full, x2: full, y1: box.top - 6, y2: box.bottom + 4, class: "gm-b-line" }),
        svg("text", { x: clamp(full, { min: box.left + 24, max: box.right - 26 }), y: box.top - 11, class: "gm-b-name" }, "log p(x)"),
      ];
      if (elbo - box.left > 44) parts.push(svg("text", { x: box.left + 8, y: box.bottom - 6, class: "gm-b-in" }, "ELBO"));
      if (values.elbo < NATS.min) parts.push(svg("text", { x: box.left + 6, y: box.bottom - 6, class: "gm-b-off" }, "◂ the ELBO is further left"));
      else if (full - elbo > 34) parts.push(svg("text", { x: (elbo + full) / 2, y: box.bottom - 6, class: "gm-b-mid" }, "gap"));
      const scale = ticks({
        values: whole(NATS.min, NATS.max, 2), at, y: box.bottom, flush: true,
        text: (nats) => print(nats, 0) + (nats === NATS.max ? " nats" : ""),
      });
      refresh(bar, svg("g", { class: "gm-axis" }, ...scale), ...parts);
    }
  }

  window.genmodelsLive["elbo-gap"] = { MODEL, START, RANGES, density, posterior, logProb, kl, terms };

  figure("elbo-gap", {
    label: "The bound and its gap, to move",
    description: `Three curves over z: the prior, the exact posterior, and the approximation q,
      which has one handle at its mean and one a standard deviation to the right. Below them a bar in nats: the ELBO
      ends short of log p(x), and what is missing is the gap. The numbers are printed below the bar.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div><div class="gm-live-bar"></div>`,
    numbers: [
      { name: "logProb", text: "log <i>p</i>(<i>x</i>)" },
      { name: "elbo", text: "ELBO", class: "gm-n-elbo" },
      { name: "gap", text: "gap, KL(<i>q</i> ‖ <i>p</i>(<i>z</i>|<i>x</i>))", class: "gm-n-gap" },
      { name: "recon", text: "E<sub><i>q</i></sub> log <i>p</i>(<i>x</i>|<i>z</i>)" },
      { name: "klPrior", text: "KL(<i>q</i> ‖ <i>p</i>(<i>z</i>))" },
    ],
    controls: `<button type="button" class="gm-button" data-do="posterior">Set <i>q</i> to the exact posterior</button>`,
    values: terms,
    say: (values) => `log p(x) ${print(values.logProb)}, ELBO ${print(values.elbo)}, gap ${print(values.gap)} nats`,
    build,
  });
})();
