// Two distributions that need not meet: the data uniform on a box around 0, the generator's on a box of the same width
// around s. The reader slides it. Everything is a closed form.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["gan-supports"]`.
(function () {
  "use strict";

  const { clamp, print, svg, line, whole, ticks, figure, refresh, fit } = window.genmodelsLive.common;

  // ---------------------------------------------------------------- the mathematics

  // The share of the mass of each box that lies where the other is.
  const overlap = ({ s, w }) => Math.max(0, 1 - Math.abs(s) / w);

  // Where both have mass the densities are equal and nothing is lost; elsewhere D* is sure, worth log 2 of each.
  const jsd = (state) => Math.LN2 * (1 - overlap(state));

  // The boxes are alike, so each unit of earth goes by s.
  const wasserstein = ({ s }) => Math.abs(s);

  // The best discriminator; undefined where neither has mass, since no example ever shows what it says there.
  function best(x, { s, w }) {
    const real = Math.abs(x) <= w / 2;
    const fake = Math.abs(x - s) <= w / 2;
    return real || fake ? (real ? 1 : 0) / ((real ? 1 : 0) + (fake ? 1 : 0)) : undefined;
  }

  const reach = ({ s, w }) => (Math.abs(s) + w) / 2;

  // A best critic: it falls with slope 1 along all ways on which earth is moved, and is level beyond them. At s = 0 no
  // earth is moved, and it is level everywhere. Zero halfway.
  function critic(x, state) {
    const most = reach(state);
    return -Math.sign(state.s) * clamp(x - state.s / 2, { min: -most, max: most });
  }

  // On each box the critic is a straight line: its mean is its value in the middle.
  const earned = (state) => critic(0, state) - critic(state.s, state);

  // d/ds of both; undefined at a kink.
  function slopes({ s, w }) {
    const side = Math.sign(s);
    const parting = Math.abs(Math.abs(s) - w) < 1e-9;
    return {
      jsd: side === 0 || parting ? undefined : Math.abs(s) < w ? side * Math.LN2 / w : 0,
      wasserstein: side === 0 ? undefined : side,
    };
  }

  function terms({ s, w }) {
    const state = { s: Math.abs(s) < 1e-9 ? 0 : s, w }; // steps of 0.05 don't add up to 0 exactly
    const slope = slopes(state);
    return {
      overlap: overlap(state), jsd: jsd(state), wasserstein: wasserstein(state), earned: earned(state),
      jsdSlope: slope.jsd, wassersteinSlope: slope.wasserstein,
    };
  }

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    s: { min: -5, max: 5, step: 0.01, text: "place <i>s</i> of the generator" },
    w: { min: 0.1, max: 2, step: 0.01, text: "width <i>w</i> of both" },
  };
  const START = { s: 2, w: 0.6 };
  const X = { min: -6.2, max: 6.2 };
  const HIGHEST = 5.2;

  function build({ id, find, slider, place, dragSideways }) {
    const under = svg("g");
    const plot = svg("svg", { role: "group", "aria-label": "Plot over x and s", "aria-describedby": `${id}-text` },
      under, slider("s", "Place of the generator"));
    find(".gm-live-plot").append(plot);
    let xPerPixel = 0;
    dragSideways(plot, () => xPerPixel);

    return function draw(state, values, width) {
      const { s, w } = state;
      const small = width < 480;
      const rows = { top: 38, base: 98, one: 138, zero: 178, up: 220, down: 320, high: 350, bottom: small ? 460 : 480 };
      const height = rows.bottom + 26;
      const box = { left: 20, right: width - 8 };
      const at = (x) => box.left + (x - X.min) / (X.max - X.min) * (box.right - box.left);
      xPerPixel = (X.max - X.min) / (box.right - box.left);
      const price = (value) => (rows.up + rows.down) / 2 - value / 7 * (rows.down - rows.up); // |f| is at most 3.5
      const level = (value) => rows.bottom - value / HIGHEST * (rows.bottom - rows.high);
      const rectangle = (middle) => line([
        [at(middle - w / 2), rows.base], [at(middle - w / 2), rows.top], [at(middle + w / 2), rows.top], [at(middle + w / 2), rows.base]]);
      const drawn = (x) => [at(x), price(critic(x, state))];
      const bends = [s / 2 - reach(state), s / 2 + reach(state)];
      const against = (f, corners) => line(corners.map((place) => [at(place), level(f({ s: place, w }))]));
      fit(plot, width, height);
      refresh(under,
        svg("g", { class: "gm-axis" },
          svg("line", { x1: box.left, x2: box.right, y1: rows.base, y2: rows.base }),
          svg("line", { x1: box.left, x2: box.right, y1: rows.bottom, y2: rows.bottom }),
          ...ticks({ values: whole(-6, small ? 4 : 5, small ? 2 : 1), at, y: rows.bottom }),
          ...[["1", 1], ["½", 0.5], ["0", 0]].map(([text, share]) => svg("text", { x: box.left - 6, y: rows.zero + 4 - share * 40, class: "gm-axis-last" }, text)),
          ...whole(0, 4, 2).map((value) => svg("text", { x: box.left - 6, y: level(value) + 4, class: "gm-axis-last" }, String(value))),
          svg("text", { x: box.right, y: rows.bottom + 18, class: "gm-axis-name" }, "x, s")),
        svg("path", { class: "gm-g-half", d: line([[at(s), rows.base], [at(s), rows.bottom]]) }),
        svg("path", { class: "gm-g-data-fill", d: rectangle(0) + "Z" }),
        svg("path", { class: "gm-g-data", d: rectangle(0) }),
        svg("path", { class: "gm-g-gen-fill", d: rectangle(s) + "Z" }),
        svg("path", { class: "gm-g-gen", d: rectangle(s) }),
        svg("path", { class: "gm-g-best", d: judged(state).map(([from, to, share]) => line([[at(from), rows.zero - 40 * share], [at(to), rows.zero - 40 * share]])).join("") }),
        svg("path", { class: "gm-g-critic", d: line([X.min, ...bends, X.max].map(drawn)) }),
        svg("path", { class: "gm-g-earned", d: line([drawn(0), [at(s), drawn(0)[1]], drawn(s)]) }),
        svg("circle", { class: "gm-g-at-data", cx: drawn(0)[0].toFixed(1), cy: drawn(0)[1].toFixed(1), r: 4 }),
        svg("circle", { class: "gm-g-at-gen", cx: drawn(s)[0].toFixed(1), cy: drawn(s)[1].toFixed(1), r: 4 }),
        svg("path", { class: "gm-g-jsd", d: against(jsd, [X.min, -w, 0, w, X.max]) }),
        svg("path", { class: "gm-g-work", d: against(wasserstein, [-HIGHEST, 0, HIGHEST]) }),
        svg("circle", { class: "gm-g-at-jsd", cx: at(s).toFixed(1), cy: level(values.jsd).toFixed(1), r: 5 }),
        svg("circle", { class: "gm-g-at-gen", cx: at(s).toFixed(1), cy: level(values.wasserstein).toFixed(1), r: 5 }),
        ...texts(state, box, at, rows, level),
      );
      place("s", at(s), rows.top);
    };

    // Where D* is defined: [from, to, what it says].
    function judged({ s, w }) {
      const edges = [-w / 2, w / 2, s - w / 2, s + w / 2].sort((a, b) => a - b);
      return edges.slice(1)
        .map((to, i) => [edges[i], to, best((edges[i] + to) / 2, { s, w })])
        .filter(([from, to, share]) => to > from && share !== undefined);
    }

    function texts({ s }, box, at, rows, level) {
      const side = s < 0 ? -1 : 1;
      const outwards = side < 0 ? "end" : "start";
      const put = (text, x, y, kind, anchor = "start") => svg("text", { x, y, class: kind, "text-anchor": anchor }, text);
      return [
        put("data", at(-side * 1.15), rows.base - 14, "gm-t-data", side < 0 ? "start" : "end"),
        put("generator", clamp(at(s), { min: box.left + 32, max: box.right - 32 }), rows.top - 16, "gm-t-exact", "middle"),
        put("best discriminator D*(x)", box.left, rows.one - 13, ""),
        put("a best critic f(x)", box.left, rows.up - 10, ""),
        ...(Math.abs(s) < 1 ? [] : [put("W", at(s) + side * 6, (rows.up + rows.down) / 2 + 4, "gm-t-muted", outwards)]),
        put("Wasserstein", at(-side * 3.2), level(4.4), "gm-t-exact", outwards), // away from the marks
        put("Jensen–Shannon", at(-side * 6), level(0.95), "gm-t-muted", outwards),
      ];
    }
  }

  window.genmodelsLive["gan-supports"] = { START, RANGES, best, critic, terms };

  const SLOPE = (value) => (value === undefined ? "none, a kink" : print(value));

  figure("gan-supports", {
    label: "Two distributions that need not meet, to move",
    description: `Four drawings above each other, over the same line. The data, a box around 0, and the generator, a box of
      the same width with a handle at its place s. The best discriminator, 1 where only data are, 0 where only the
      generator is. A best critic, which falls with slope 1 from one box to the other; the difference of its heights there is the
      Wasserstein distance. And the Jensen-Shannon divergence and the Wasserstein distance as curves over s, with the
      present place marked. The numbers are printed below.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div>`,
    numbers: [
      { name: "jsd", text: "Jensen–Shannon divergence" },
      { name: "jsdSlopeText", text: "slope of the divergence" },
      { name: "overlap", text: "mass that they share" },
      { name: "wasserstein", text: "Wasserstein distance", class: "gm-n-model" },
      { name: "wassersteinSlopeText", text: "slope of the distance", class: "gm-n-model" },
      { name: "earned", text: "E<sub>data</sub> <i>f</i> − E<sub><i>G</i></sub> <i>f</i>" },
    ],
    values(state) {
      const found = terms(state);
      return { ...found, jsdSlopeText: SLOPE(found.jsdSlope), wassersteinSlopeText: SLOPE(found.wassersteinSlope) };
    },
    say: (values) => `Jensen-Shannon divergence ${print(values.jsd)}, slope ${values.jsdSlopeText}; Wasserstein distance
      ${print(values.wasserstein)}, slope ${values.wassersteinSlopeText}`,
    build,
  });
})();
