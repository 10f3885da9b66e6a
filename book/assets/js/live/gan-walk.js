// From one code of the digits' generator to another, along the straight line and along the sphere. The generator, shipped
// as numbers in gan-walk-data.js (written by tools/live_weights.py, loaded when the reader comes near), runs in the browser.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["gan-walk"]`.
(function () {
  "use strict";

  const { print, svg, line, paint, whole, ticks, unpack, lazyFigure } = window.genmodelsLive.common;

  // ---------------------------------------------------------------- the network

  const relu = (values) => values.map((value) => Math.max(0, value));

  // Each pixel of the maps is spread over 4 by 4 pixels of the next ones, with a stride of 2 and one pixel cut off around:
  // (inputs, size, size) to (outputs, 2 size, 2 size).
  function spread(maps, size, { shape: [inputs, outputs], values: weight }, { values: bias }) {
    const double = 2 * size;
    const out = Float64Array.from({ length: outputs * double * double }, (_, i) => bias[Math.floor(i / double / double)]);
    for (let input = 0; input < inputs; input++) {
      for (let i = 0; i < size * size; i++) {
        const pixel = maps[input * size * size + i];
        if (pixel === 0) continue; // about half of them, after a ReLU
        const [top, left] = [2 * Math.floor(i / size) - 1, 2 * (i % size) - 1];
        for (let k = 0; k < 16; k++) {
          const [row, column] = [top + (k >> 2), left + (k & 3)];
          if (row < 0 || column < 0 || row >= double || column >= double) continue;
          for (let output = 0; output < outputs; output++) {
            out[(output * double + row) * double + column] += pixel * weight[(input * outputs + output) * 16 + k];
          }
        }
      }
    }
    return out;
  }

  // (16,) to the 64 pixels, between -1 and 1.
  function generate({ W1, b1, W2, b2, W3, b3 }, z) {
    const project = b1.values.map((b, i) => z.reduce((sum, value, j) => sum + value * W1.values[i * z.length + j], b));
    const middle = relu(spread(relu(project), 2, W2, b2)); // (96, 2, 2) to (48, 4, 4)
    return spread(middle, 4, W3, b3).map(Math.tanh); // to (1, 8, 8)
  }

  // ---------------------------------------------------------------- codes

  const dot = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0);
  const length = (z) => Math.sqrt(dot(z, z));
  const mix = (a, one, b, other) => one.map((value, i) => a * value + b * other[i]);
  const angle = (one, other) => Math.acos(Math.max(-1, Math.min(1, dot(one, other) / length(one) / length(other))));

  const along = {
    line: (s, one, other) => mix(1 - s, one, s, other),
    // On the great circle, the length changing evenly.
    sphere(s, one, other) {
      const theta = angle(one, other);
      if (Math.sin(theta) < 1e-4) return along.line(s, one, other); // no great circle is singled out
      const [r, q] = [length(one), length(other)];
      const here = ((1 - s) * r + s * q) / Math.sin(theta);
      return mix(here * Math.sin((1 - s) * theta) / r, one, here * Math.sin(s * theta) / q, other);
    },
  };

  // Of a standard normal in 16 dimensions: the probability of a code shorter than r. With m = 8, the squared length exceeds
  // r² as often as a Poisson count of mean r² / 2 stays below m.
  function shorter(r) {
    let term = Math.exp(-r * r / 2);
    let longer = 0;
    for (let k = 0; k < 8; k++) {
      longer += term;
      term *= r * r / 2 / (k + 1);
    }
    return 1 - longer;
  }
  const MIDDLE = [3.052, 4.852]; // one code of ten is shorter, one is longer

  // Two independent draws of a standard normal from two of a uniform (Box and Muller).
  function draw16() {
    return whole(1, 8).flatMap(() => {
      const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
      const turn = 2 * Math.PI * Math.random();
      return [radius * Math.cos(turn), radius * Math.sin(turn)];
    });
  }

  function terms({ s, one, other }) {
    const [line_, sphere] = ["line", "sphere"].map((way) => along[way](s, one, other));
    const onLine = length(line_);
    return { line: line_, sphere, onLine, onSphere: length(sphere), shorter: shorter(onLine), angle: angle(one, other) };
  }

  // ---------------------------------------------------------------- the figure

  const REACH = 6.2; // the plane is shown from -REACH to REACH, its upper half
  const IMAGES = { one: "first code", other: "second code", line: "on the line", sphere: "on the sphere" };
  const WALK = { milliseconds: 6000, jumps: 12 };

  function builder(weights) {
    return function build({ id, find, set, glide, slider, place, dragSideways, state, stop }) {
      const under = svg("g");
      const chord = svg("path", { class: "gm-w-line" });
      const arc = svg("path", { class: "gm-w-sphere" });
      const spoke = svg("path", { class: "gm-w-spoke" });
      const ends = [svg("circle", { class: "gm-w-end", r: 5 }), svg("circle", { class: "gm-w-end", r: 5 })];
      const names = ["first", "second"].map((name) => svg("text", { "text-anchor": "middle" }, name));
      const dot_ = svg("circle", { class: "gm-w-dot", r: 6 });
      const grip = slider("s", "Place between the codes");
      const plot = svg("svg", { role: "group", "aria-label": "Plane of both codes", "aria-describedby": `${id}-text` },
        under, spoke, chord, arc, ...ends, ...names, dot_, grip);
      find(".gm-live-plot").append(plot);
      const canvases = Object.fromEntries(Object.keys(IMAGES).map((name) => [name, find(`canvas[data-image=${name}]`)]));

      let [unit, middle, ground] = [0, 0, 0];
      // A place of the plane by its length and its angle to the upright, in pixels.
      const at = (r, turn) => [middle + unit * r * Math.sin(turn), ground - unit * r * Math.cos(turn)];

      function plane(width) {
        [unit, middle, ground] = [width / (2 * REACH), width / 2, width / 2];
        plot.setAttribute("viewBox", `0 0 ${width} ${ground + 22}`);
        plot.setAttribute("height", ground + 22);
        const half = (r, sweep) => `A${unit * r} ${unit * r} 0 0 ${sweep} ${middle + (sweep ? 1 : -1) * unit * r} ${ground}`;
        const [inner, outer] = MIDDLE;
        under.replaceChildren(
          svg("path", { class: "gm-w-shell", d: `M${middle - unit * outer} ${ground}${half(outer, 1)}H${middle + unit * inner}${half(inner, 0)}Z` }),
          svg("text", { class: "gm-m-name gm-t-prior", "text-anchor": "middle", x: middle, y: ground - unit * outer - 8 }, "8 of 10 codes end in the band"),
          svg("g", { class: "gm-axis" },
            svg("line", { x1: 0, x2: width, y1: ground, y2: ground }),
            ...ticks({ values: whole(-6, 6, 2), at: (value) => middle + unit * value, y: ground, text: (value) => print(Math.abs(value), 0) })),
        );
      }

      let drawnAt = 0;
      function draw({ s, one, other }, values, width) {
        if (width !== drawnAt) plane(width);
        drawnAt = width;
        const [r, q] = [length(one), length(other)];
        const turn = (part) => (part - 0.5) * values.angle;
        const [from, to] = [at(r, turn(0)), at(q, turn(1))];
        const onLine = [0, 1].map((i) => (1 - s) * from[i] + s * to[i]);
        chord.setAttribute("d", line([from, to]));
        arc.setAttribute("d", line(whole(0, 40).map((k) => at(r + (q - r) * k / 40, turn(k / 40)))));
        spoke.setAttribute("d", line([[middle, ground], onLine]));
        [from, to].forEach(([cx, cy], i) => {
          ends[i].setAttribute("cx", cx.toFixed(1));
          ends[i].setAttribute("cy", cy.toFixed(1));
          names[i].setAttribute("x", cx.toFixed(1));
          names[i].setAttribute("y", (cy - 12).toFixed(1));
        });
        dot_.setAttribute("cx", onLine[0].toFixed(1));
        dot_.setAttribute("cy", onLine[1].toFixed(1));
        place("s", ...at(values.onSphere, turn(s)));
        for (const [name, canvas] of Object.entries(canvases)) {
          paint(canvas, generate(weights, { one, other, line: values.line, sphere: values.sphere }[name]));
        }
      }

      dragSideways(plot, () => {
        const { one, other } = state();
        const half = angle(one, other) / 2;
        return 1 / Math.max(20, unit * Math.sin(half) * (length(one) + length(other)));
      });
      for (const end of ["one", "other"]) {
        find(`[data-do=${end}]`).addEventListener("click", () => set({ [end]: draw16() }));
      }
      const button = find("[data-do=walk]");
      let walking = false;
      button.addEventListener("click", () => {
        if (walking) return stop();
        stop();
        set({ s: 0 });
        walking = true;
        button.textContent = "Stop";
        glide({ s: 1 }, {
          ...WALK, ease: (part) => part, done: () => { walking = false; button.textContent = "Walk"; },
        });
      });
      return draw;
    };
  }

  const image = ([name, text]) => `<div><canvas width="8" height="8" role="img" data-image="${name}"
    aria-label="The digit generated from the code: ${text}"></canvas><span>${text}</span></div>`;

  function specify({ weights: packed, codes: [one, other] }) {
    const weights = Object.fromEntries(Object.entries(packed).map(([name, array]) => [name, unpack(array)]));
    window.genmodelsLive["gan-walk"] = {
      along, terms, shorter, draw16, MIDDLE, start: { one, other }, generate: (z) => generate(weights, z),
    };
    return {
      label: "From one code to another",
      description: `The plane through the origin and two codes of 16 dimensions. A band between two half circles holds the ends of
        eight of ten codes that the prior draws. A straight line and a circular arc lead from the first code to the second; a
        point on each moves with the slider, with the arrow keys on the handle, or by dragging. Four images are generated: from both codes,
        and from both points on the way.`,
      ranges: { s: { min: 0, max: 1, step: 0.01, text: "<i>s</i>, from first to second" } },
      start: { s: 0.5, one, other },
      drawing: `<div class="gm-live-plot"></div>
        <div class="gm-w-images">${Object.entries(IMAGES).map(image).join("")}</div>`,
      numbers: [
        { name: "onLine", text: "length of the code on the line" },
        { name: "onSphere", text: "on the sphere" },
        { name: "shorter", text: "of the prior’s codes are shorter than that on the line" },
      ],
      controls: `<div class="gm-live-walk"><button type="button" class="gm-button" data-do="walk">Walk</button>
        <button type="button" class="gm-button" data-do="one">New first code</button>
        <button type="button" class="gm-button" data-do="other">New second code</button></div>`,
      values: (state) => {
        const values = terms(state);
        return { ...values, shorter: `${print(100 * values.shorter, 1)} %` };
      },
      say: (values, { s }) => `s ${print(s, 2)}: the code on the line is ${print(values.onLine, 2)} long, on the sphere
        ${print(values.onSphere, 2)}`,
      build: builder(weights),
    };
  }

  lazyFigure("gan-walk", specify);
})();
