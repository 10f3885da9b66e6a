// Two recorded runs of a generator and a discriminator on eight Gaussians, played frame by frame. The record is
// gan-replay-data.js, written by tools/live_replay.py and loaded when the reader comes near.
// A classic script, so that it loads from file://. What it reads of the record is in `window.genmodelsLive["gan-replay"]`.
(function () {
  "use strict";

  const { clamp, print, svg, line, whole, ticks, LETTERS, lazyFigure } = window.genmodelsLive.common;

  const MODES = 8;
  const CURVES = ["d_real", "d_fake", "loss_d", "loss_g"];

  // ---------------------------------------------------------------- the record

  // Frames of `length` bytes, in base64: the first, then what each adds to the one before it, modulo 256.
  function unpackPlaces(text, length) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); // as a Uint8Array adds: modulo 256
    for (let i = length; i < bytes.length; i++) bytes[i] += bytes[i - length];
    return whole(0, bytes.length / length - 1).map((frame) => bytes.subarray(frame * length, (frame + 1) * length));
  }

  // Frames of cells² levels from 0 to 63, a letter for each: what it adds to left + above - above left, modulo 64.
  function unpackLevels(text, cells) {
    const value = Object.fromEntries([...LETTERS].map((letter, i) => [letter, i]));
    const size = cells * cells;
    const levels = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) {
      const column = i % cells;
      const row = Math.floor((i % size) / cells);
      const left = column > 0 ? levels[i - 1] : 0;
      const above = row > 0 ? levels[i - cells] : 0;
      const corner = column > 0 && row > 0 ? levels[i - cells - 1] : 0;
      levels[i] = (value[text[i]] + left + above - corner) & 63;
    }
    return whole(0, text.length / size - 1).map((frame) => levels.subarray(frame * size, (frame + 1) * size));
  }

  const bits = (mask) => whole(0, MODES - 1).filter((mode) => mask & (1 << mode));

  // Places in the picture as [x, y] between -limit and limit; what lies outside of it is left out.
  function points(bytes, limit) {
    const inside = [];
    for (let i = 0; i < bytes.length; i += 2) {
      if ([bytes[i], bytes[i + 1]].some((byte) => byte === 0 || byte === 255)) continue;
      inside.push([bytes[i], bytes[i + 1]].map((byte) => byte / 255 * 2 * limit - limit));
    }
    return inside;
  }

  function unpack(data) {
    const runs = data.runs.map((run) => {
      let so_far = 0;
      return {
        beta_1: run.beta_1,
        fields: unpackLevels(run.field, data.cells),
        samples: unpackPlaces(run.samples, 2 * data.points),
        covered: run.covered.map(bits),
        reached: run.covered.map((mask) => bits(so_far |= mask)),
        ...Object.fromEntries(CURVES.map((name) => [name, run[name]])),
      };
    });
    return { ...data, data: unpackPlaces(data.data, 2 * data.points)[0], runs, frames: runs[0].fields.length };
  }

  // What is seen of one frame.
  function terms(record, { step, run }) {
    const { fields, samples, covered, reached, ...rest } = record.runs[run];
    const frame = Math.round(step / record.every);
    const inside = points(samples[frame], record.limit);
    return {
      ...Object.fromEntries(CURVES.map((name) => [name, rest[name][frame]])),
      field: fields[frame],
      inside,
      outside: record.points - inside.length,
      covered: covered[frame],
      reached: reached[frame],
    };
  }

  // ---------------------------------------------------------------- the figure

  const STRONGEST = 0.6; // the opacity of the field where D is sure
  const MILLISECONDS = 80; // a frame
  const PANELS = [
    {
      top: 18, most: 1, rule: 0.5, curves: { d_real: "gm-p-real", d_fake: "gm-p-fake" },
      text: [["D(x)", "gm-t-real"], ["D(G(z))", "gm-t-fake"]],
    },
    {
      top: 122, most: 4, curves: { loss_d: "gm-p-judge", loss_g: "gm-p-fake" },
      text: [["loss of D", ""], ["of G", "gm-t-fake"]],
    },
    {
      top: 226, most: MODES, area: "covered", curves: { covered: "gm-p-fake gm-p-area", reached: "gm-p-judge" },
      text: [["modes covered now", "gm-t-fake"], ["so far", ""]],
    },
  ];
  const HIGH = 78; // of a panel
  const BOTTOM = PANELS.at(-1).top + HIGH;

  const dots = (places) => places.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");

  function ink(name) {
    const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  }

  function builder(record) {
    const last = (record.frames - 1) * record.every;
    const { cells, limit } = record;

    return function build({ find, set, glide, drag, state, stop }) {
      const canvas = find(".gm-p-field canvas");
      const context = canvas.getContext("2d");
      const pixels = context.createImageData(cells, cells);
      const modes = whole(0, MODES - 1).map(() => svg("circle", { class: "gm-p-mode" }));
      const cloud = svg("path", { class: "gm-p-data" });
      const halo = svg("path", { class: "gm-p-halo" });
      const samples = svg("path", { class: "gm-p-samples" });
      const outside = svg("text", { "text-anchor": "end" });
      const plot = svg("svg", { "aria-hidden": "true" }, cloud, halo, samples, ...modes, outside);
      find(".gm-p-field").append(plot);

      const curves = svg("g");
      const cursor = svg("line", { class: "gm-p-cursor", y1: PANELS[0].top - 4, y2: BOTTOM });
      const strips = svg("svg", { height: BOTTOM + 22, "aria-hidden": "true" }, curves, cursor);
      find(".gm-p-strips").append(strips);

      let inks = {};
      function lookUpInks() {
        inks = { real: ink("--gm-data"), fake: ink("--gm-model") };
      }
      lookUpInks();
      new MutationObserver(() => {
        lookUpInks();
        paint(terms(record, state()).field);
      }).observe(document.documentElement, { attributeFilter: ["data-theme"] });

      function paint(field) {
        field.forEach((level, i) => {
          const sure = 2 * level / 63 - 1;
          pixels.data.set([...(sure > 0 ? inks.real : inks.fake), 255 * STRONGEST * Math.abs(sure)], 4 * i);
        });
        context.putImageData(pixels, 0, 0);
      }

      let side = 0; // of the field, in pixels
      const at = ([x, y]) => [(x + limit) / (2 * limit) * side, (limit - y) / (2 * limit) * side];

      function resize(width) {
        side = width;
        plot.setAttribute("viewBox", `0 0 ${side} ${side}`);
        plot.setAttribute("height", side);
        modes.forEach((circle, mode) => {
          const angle = 2 * Math.PI * mode / MODES;
          const [cx, cy] = at([Math.cos(angle), Math.sin(angle)]);
          const attributes = { cx, cy, r: 3 * record.std * side / (2 * limit) };
          for (const [key, value] of Object.entries(attributes)) circle.setAttribute(key, value.toFixed(1));
        });
        cloud.setAttribute("d", dots(points(record.data, limit).map(at)));
        outside.setAttribute("x", side - 8);
        outside.setAttribute("y", side - 10);
      }

      let box = { left: 18, right: 0 };
      const x = (step) => box.left + step / last * (box.right - box.left);

      function panels(run) {
        const width = Math.floor(find(".gm-p-strips").clientWidth);
        box = { left: 18, right: width - 2 };
        strips.setAttribute("viewBox", `0 0 ${width} ${BOTTOM + 22}`);
        const heights = { ...record.runs[run], ...counts(record.runs[run]) };
        const drawn = PANELS.map(({ top, most, rule, area, curves: names, text }) => {
          const y = (value) => top + HIGH * (1 - clamp(value, { min: 0, max: most }) / most);
          const path = (name) => line(heights[name].map((value, frame) => [x(frame * record.every), y(value)]));
          const close = (name) => (name === area ? `L${x(last)} ${y(0)}L${x(0)} ${y(0)}Z` : "");
          return svg("g", {},
            ...(rule ? [svg("line", { class: "gm-p-rule", x1: box.left, x2: box.right, y1: y(rule), y2: y(rule) })] : []),
            ...Object.entries(names).map(([name, inkClass]) => svg("path", { class: inkClass, d: path(name) + close(name) })),
            svg("g", { class: "gm-axis" },
              svg("line", { x1: box.left, x2: box.right, y1: top + HIGH, y2: top + HIGH }),
              svg("line", { x1: box.left, x2: box.left, y1: top, y2: top + HIGH }),
              ...[0, most].map((value) => svg("text", { class: "gm-axis-last", x: box.left - 5, y: y(value) + 4 }, print(value, 0)))),
            svg("text", { class: "gm-p-name", x: box.left + 6, y: top - 5 },
              ...text.flatMap(([words, inkClass], i) => [i ? ", " : "", tspan(words, inkClass)])));
        });
        const steps = whole(0, last, 500);
        curves.replaceChildren(...drawn, svg("g", { class: "gm-axis" },
          ...ticks({ values: steps, at: x, y: BOTTOM, flush: true })));
      }

      let drawnAs = "";
      function draw({ step, run }, values, width) {
        if (width !== side) resize(width);
        if (drawnAs !== `${width} ${run}`) panels(run);
        drawnAs = `${width} ${run}`;
        paint(values.field);
        const d = dots(values.inside.map(at));
        halo.setAttribute("d", d);
        samples.setAttribute("d", d);
        modes.forEach((circle, mode) => circle.classList.toggle("gm-p-covered", values.covered.includes(mode)));
        outside.textContent = values.outside ? `${values.outside} of ${record.points} samples lie outside` : "";
        for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(step).toFixed(1));
      }

      // ---- playing
      const button = find("[data-do=play]");
      let playing = false;
      button.addEventListener("click", () => {
        if (playing) return stop();
        stop();
        if (state().step >= last) set({ step: 0 });
        const left = Math.round((last - (state().step % last)) / record.every);
        playing = true;
        button.textContent = "Pause";
        glide({ step: last }, {
          milliseconds: MILLISECONDS * left,
          jumps: Math.ceil(left / 10),
          ease: (part) => Math.round(part * left) / left, // from frame to frame
          done: () => { playing = false; button.textContent = "Play"; },
        });
      });
      for (const choice of find(".gm-live-choice").querySelectorAll("input")) {
        choice.addEventListener("change", () => set({ run: Number(choice.value) }));
      }
      const stepUnder = (event) => {
        const part = (event.clientX - strips.getBoundingClientRect().left - box.left) / (box.right - box.left);
        return { step: record.every * Math.round(clamp(part, { min: 0, max: 1 }) * last / record.every) };
      };
      drag(strips, (event) => {
        set(stepUnder(event));
        return (e) => set(stepUnder(e));
      });
      return draw;
    };
  }

  const tspan = (words, inkClass) => svg("tspan", { class: inkClass }, words);
  const counts = ({ covered, reached }) => ({
    covered: covered.map((list) => list.length), reached: reached.map((list) => list.length),
  });

  function specify(data) {
    const record = unpack(data);
    const last = (record.frames - 1) * record.every;
    const choices = record.runs.map(({ beta_1 }, run) => `
      <label><input type="radio" name="gan-replay-run" value="${run}"${run === 0 ? " checked" : ""}> ${beta_1}</label>`);
    window.genmodelsLive["gan-replay"] = { record, terms: (state) => terms(record, state) };
    return {
      label: "Two runs on eight Gaussians, to play",
      description: `A picture of the plane: data on eight narrow modes around a ring, the samples of the generator, and behind
        them the discriminator's opinion of each place, tinted one way where it says real and the other way where it says generated. A
        mode that the samples cover is circled. Beside it three curves over the steps of training: the means of D(x) and
        D(G(z)), both losses, and the number of modes covered. The slider moves through the recorded steps.`,
      ranges: { step: { min: 0, max: last, step: record.every, text: "step", digits: 0 } },
      start: { step: last, run: 0 },
      drawing: `<div class="gm-live-plot gm-p-field"><canvas width="${record.cells}" height="${record.cells}"></canvas></div>
        <div class="gm-live-plot gm-p-strips"></div>`,
      numbers: [
        { name: "d_real", text: "mean <i>D</i>(<i>x</i>)" },
        { name: "d_fake", text: "mean <i>D</i>(<i>G</i>(<i>z</i>))" },
        { name: "modes", text: "modes covered, of 8" },
        { name: "loss_d", text: "loss of <i>D</i>, nats" },
        { name: "loss_g", text: "loss of <i>G</i>, nats" },
        { name: "so_far", text: "covered at some step so far" },
      ],
      controls: `<div class="gm-live-walk"><button type="button" class="gm-button" data-do="play">Play</button>
        <fieldset class="gm-live-choice"><legend>Adam’s first moment</legend>${choices.join("")}</fieldset></div>`,
      values: (state) => {
        const values = terms(record, state);
        return { ...values, modes: String(values.covered.length), so_far: String(values.reached.length) };
      },
      say: (values, { step }) => `Step ${Math.round(step)}: ${values.modes} of 8 modes covered, D(x) ${print(values.d_real, 2)},
        D(G(z)) ${print(values.d_fake, 2)}`,
      build: builder(record),
    };
  }

  lazyFigure("gan-replay", specify);
})();
