// The linear and the cosine schedule compared: what is left of the signal, the signal-to-noise ratio and the weight of the
// loss at each step, and a digit at the chosen one. The reader moves t, the linear schedule's last beta, and the number of steps.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["dif-schedules"]`.
(function () {
  "use strict";

  const { clamp, scientific, svg, line, paint, whole, ticks, figure, refresh } = window.genmodelsLive.common;
  const { linear, cosine, endsInNoise, MOST_SNR_AT_END } = window.genmodelsLive.dif;
  // The first image of the training digits, in sixteenths, and noise for each of its pixels.
  const DIGIT = [
    0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0, 8, 8, 0,
    0, 5, 8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6, 13, 10, 0, 0, 0,
  ].map((level) => level / 8 - 1);
  const NOISE = [
    0.82, 0.92, -0.04, -0.64, -3.32, 0.42, -0.07, 0.71, -0.32, 0.74, -0.6, 0.85, 0.61, -0.22, 0.1, 0.47,
    -0.87, 0.13, 0.86, -0.63, 0.85, 0.48, 1.01, -0.42, -1.32, 0.84, 0.86, -0.14, -1.32, -0.85, 0.34, -0.55,
    1.66, 0.22, -0.84, 0.4, -0.36, 1.5, 1.34, 0.04, 0.37, 0.52, 0.86, 1.98, -1.9, -0.35, 0.26, -0.51,
    0.23, -1.34, 1.18, 0.06, -1.19, 0.42, -0.49, -0.86, -0.04, -1.09, -0.81, 1.11, 0.52, -2.24, 0.77, -2.12,
  ];

  // ---------------------------------------------------------------- the mathematics

  const schedules = ({ T, betaT }) => ({ linear: linear(T, 1e-4, betaT), cosine: cosine(T) });
  const step = ({ u, T }) => clamp(Math.round(u * T), { min: 1, max: T });

  function terms(state) {
    const t = step(state);
    const at = (table) => ({
      beta: table.beta[t], alphaBar: table.alphaBar[t], snr: table.snr[t], weight: table.weight[t],
      alphaBarEnd: table.alphaBar[table.T], snrEnd: table.snr[table.T], good: endsInNoise(table),
    });
    const found = schedules(state);
    return { linear: at(found.linear), cosine: at(found.cosine) };
  }

  const noised = (alphaBar) => DIGIT.map((value, i) => Math.sqrt(alphaBar) * value + Math.sqrt(1 - alphaBar) * NOISE[i]);

  // ---------------------------------------------------------------- the figure

  const RANGES = {
    u: { min: 0, max: 1, step: 0.001, digits: 3, text: "time, <i>t</i>/<i>T</i>" },
    betaT: { min: 0.0005, max: 0.8, log: 160, text: "last <i>β<sub>T</sub></i>, linear" },
  };
  const STEPS = [25, 100, 250, 1000];
  const START = { u: 0.3, betaT: 0.02, T: 1000 };
  const NAMES = ["linear", "cosine"];
  // From `low` to `high` of each panel's axis, as logarithms to base 10 where `log`.
  const PANELS = [
    { name: "alphaBar", top: 24, base: 124, low: 0, high: 1, marks: { 0: "0", 0.5: "½", 1: "1" }, text: "the image’s share, ᾱ" },
    {
      name: "snr", top: 164, base: 274, low: -6, high: 5, log: true, marks: { "-6": "10⁻⁶", "-3": "10⁻³", 0: "1", 3: "10³" },
      rules: [0, Math.log10(MOST_SNR_AT_END)], text: "signal-to-noise ratio",
    },
    { name: "weight", top: 314, base: 414, low: -4, high: 3, log: true, marks: { "-4": "10⁻⁴", "-2": "10⁻²", 0: "1", 2: "100" }, text: "weight λ of step t in the bound" },
  ];
  const BOTTOM = 414;

  const digits = (value) => (value >= 0.001 && value < 1000 ? value.toPrecision(3) : scientific(value, 2));

  function build({ id, find, set, glide, slider, place, dragSideways, state, stop }) {
    const under = svg("g");
    const over = svg("g");
    const plot = svg("svg", { role: "group", "aria-label": "Plot over t", "aria-describedby": `${id}-text`, height: BOTTOM + 26 },
      svg("clipPath", { id: `${id}-panels` }), under, over, slider("u", "Time, as a share of T"));
    find(".gm-live-plot").append(plot);
    const canvases = Object.fromEntries(NAMES.map((name) => [name, find(`canvas[data-image=${name}]`)]));

    let box = { left: 40, right: 0 };
    dragSideways(plot, () => 1 / (box.right - box.left));
    const height = ({ top, base, low, high, log }, value) => base - ((log ? Math.log10(value) : value) - low) / (high - low) * (base - top);

    function panels(width, now) {
      const { T } = now;
      box = { left: 40, right: width - 10 };
      plot.setAttribute("viewBox", `0 0 ${width} ${BOTTOM + 26}`);
      const x = (t) => box.left + t / T * (box.right - box.left);
      const tables = schedules(now);
      plot.querySelector("clipPath").replaceChildren(...PANELS.map(({ top, base }) =>
        svg("rect", { x: box.left, y: top - 2, width: box.right - box.left + 2, height: base - top + 4 })));
      const times = whole(0, 200).map((i) => Math.round(i / 200 * T)).filter((t, i, all) => t > 0 && t !== all[i - 1]);
      refresh(under, ...PANELS.map((panel) => {
        const { name, top, base, log, low, marks, rules = [], text } = panel;
        const level = (value) => height(panel, log ? 10 ** value : value);
        return svg("g", {},
          ...rules.map((value) => svg("line", { class: "gm-p-rule", x1: box.left, x2: box.right, y1: level(value), y2: level(value) })),
          svg("g", { class: "gm-axis" },
            svg("line", { x1: box.left, x2: box.right, y1: base, y2: base }),
            svg("line", { x1: box.left, x2: box.left, y1: top, y2: base }),
            ...Object.entries(marks).map(([value, mark]) => svg("text", { class: "gm-axis-last", x: box.left - 6, y: level(Number(value)) + 4 }, mark))),
          svg("text", { x: box.left, y: top - 10 }, text),
          ...NAMES.map((kind) => svg("path", {
            class: `gm-s-${kind}`, "clip-path": `url(#${id}-panels)`,
            // Below the panel a curve is held near its edge: a table may hold numbers as small as 1e-300.
            d: line(times.map((t) => [x(t), Math.min(height(panel, tables[kind][name][t]), level(low) + 20)])),
          })));
      }),
      svg("g", { class: "gm-axis" },
        ...ticks({ values: [0, 0.2, 0.4, 0.6, 0.8, 1].map((part) => part * T), at: x, y: BOTTOM, flush: true }),
        svg("text", { class: "gm-axis-name", x: box.left - 6, y: BOTTOM + 18 }, "t")),
      svg("text", { x: box.right, y: PANELS[0].top - 10, "text-anchor": "end" },
        svg("tspan", { class: "gm-t-data" }, "linear"), ", ", svg("tspan", { class: "gm-t-q" }, "cosine")),
      svg("text", { class: "gm-t-muted", x: box.left + 8, y: height(PANELS[1], MOST_SNR_AT_END) + 15 }, "end below this line"));
    }

    let drawnAs = "";
    function draw(now, values, width) {
      const { T, betaT } = now;
      if (drawnAs !== `${width} ${T} ${betaT}`) panels(width, now);
      drawnAs = `${width} ${T} ${betaT}`;
      const at = box.left + values.t / T * (box.right - box.left);
      refresh(over,
        svg("line", { class: "gm-s-cursor", x1: at, x2: at, y1: PANELS[0].top, y2: BOTTOM }),
        ...PANELS.flatMap((panel) => NAMES.map((kind) => [kind, height(panel, values[kind][panel.name])])
          .filter(([, y]) => y <= panel.base + 1 && y >= panel.top - 1)
          .map(([kind, y]) => svg("circle", { class: `gm-s-at-${kind}`, cx: at.toFixed(1), cy: y.toFixed(1), r: 4 }))));
      place("u", at, PANELS[0].base);
      find(".gm-s-verdict").classList.toggle("gm-s-bad", !values.linear.good);
      for (const [kind, canvas] of Object.entries(canvases)) {
        paint(canvas, noised(values[kind].alphaBar));
        canvas.setAttribute("aria-label", `The digit at t ${values.t} of the ${kind} schedule`);
      }
      for (const choice of find(".gm-live-choice").querySelectorAll("input")) choice.checked = Number(choice.value) === T;
    }

    find(".gm-live-choice").addEventListener("change", (event) => {
      stop();
      set({ T: Number(event.target.value) });
    });
    find("[data-do=scale]").addEventListener("click", () => glide({ betaT: 20 / state().T }));
    return draw;
  }

  const ROWS = {
    alphaBar: "<i>ᾱ<sub>t</sub></i>",
    snr: "signal-to-noise ratio",
    weight: "weight <i>λ<sub>t</sub></i>",
    alphaBarEnd: "<i>ᾱ<sub>T</sub></i>, left at the end",
    snrEnd: "signal-to-noise ratio there",
  };
  const output = (name) => `<output data-out="${name}" aria-live="off"></output>`;
  const rows = Object.entries(ROWS).map(([name, text]) => `
    <tr><th scope="row">${text}</th>${NAMES.map((kind) => `<td>${output(`${kind}-${name}`)}</td>`).join("")}</tr>`);
  const image = (kind) => `<div><canvas width="8" height="8" role="img" data-image="${kind}"></canvas><span class="gm-s-head-${kind}">${kind}</span></div>`;
  const choices = STEPS.map((T) => `<label><input type="radio" name="dif-schedules-T" value="${T}"> ${T}</label>`);

  const verdict = ({ linear: { good, alphaBarEnd } }) => (good
    ? "Both end in noise: sampling may begin with standard normal noise."
    : `The linear schedule does not end in noise: the image is left with a factor of ${digits(Math.sqrt(alphaBarEnd))}. Sampling from
      it must not begin with standard normal noise.`);

  window.genmodelsLive["dif-schedules"] = { START, RANGES, STEPS, DIGIT, NOISE, noised, schedules, step, terms };

  figure("dif-schedules", {
    label: "The linear and the cosine schedule, to compare",
    description: `Three curves over the steps for each of two schedules, linear and cosine: the share of the image in the
      variance, which falls from 1 to 0; on logarithmic axes the signal-to-noise ratio, and the weight of a step's loss in the bound. A
      handle moves the step t through all three. Beside them a digit as both schedules have it at t, with the same noise. The numbers are in
      the table below, with those at the last step, and a sentence says whether x T is noise there.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div><div class="gm-w-images">${NAMES.map(image).join("")}</div>
      <table class="gm-live-table"><thead><tr><td></td><th scope="col" class="gm-s-head-linear">linear</th>
        <th scope="col" class="gm-s-head-cosine">cosine</th></tr></thead><tbody>${rows.join("")}</tbody></table>
      <p class="gm-s-verdict">${output("verdict")}</p>`,
    numbers: [
      { name: "step", text: "step <i>t</i>" },
      { name: "betaLinear", text: "<i>β<sub>t</sub></i>, linear" },
      { name: "betaCosine", text: "<i>β<sub>t</sub></i>, cosine" },
    ],
    controls: `<div class="gm-live-walk"><fieldset class="gm-live-choice"><legend>steps <i>T</i></legend>${choices.join("")}</fieldset>
      <button type="button" class="gm-button" data-do="scale">Set <i>β<sub>T</sub></i> to 20/<i>T</i></button></div>`,
    values(state) {
      const found = terms(state);
      const t = step(state);
      const printed = NAMES.flatMap((kind) => Object.keys(ROWS).map((name) => [`${kind}-${name}`, digits(found[kind][name])]));
      return {
        ...found, ...Object.fromEntries(printed), t, step: `${t} of ${state.T}`, verdict: verdict(found),
        betaLinear: digits(found.linear.beta), betaCosine: digits(found.cosine.beta),
      };
    },
    say: (values) => `Step ${values.step}. Linear: ${values["linear-alphaBar"]} of the variance is the image's, signal-to-noise ratio
      ${values["linear-snr"]}. Cosine: ${values["cosine-alphaBar"]}, ${values["cosine-snr"]}. ${values.verdict}`,
    build,
  });
})();
