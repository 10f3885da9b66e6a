// The plane of codes of the digits' autoencoder with two dimensions: the reader moves a point, and the decoder, shipped as
// numbers in manifold-weights.js, turns its code into an image here in the browser.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["manifold"]`.
(function () {
  "use strict";

  const { clamp, print, svg, whole, ticks, nudge, figure, refresh, fit } = window.genmodelsLive.common;

  // ---------------------------------------------------------------- the network

  // Fixed point: whole numbers of 16 bits, low byte first, in base64, and the scale that they are multiplied by.
  function unpack({ shape, scale, int16 }) {
    const bytes = Uint8Array.from(atob(int16), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const rows = [];
    for (let i = 0; i < shape[0]; i++) {
      rows.push(Array.from({ length: shape[1] }, (_, j) => scale * view.getInt16(2 * (i * shape[1] + j), true)));
    }
    return rows;
  }

  const { weights, codes: packed, classes } = window.genmodelsLive["manifold-weights"];
  const [W1, b1, W2, b2] = ["W1", "b1", "W2", "b2"].map((name) => unpack(weights[name]));
  const codes = unpack(packed).map(([z1, z2], i) => ({ z1, z2, digit: Number(classes[i]) }));

  const sigmoid = (a) => 1 / (1 + Math.exp(-a));
  const dot = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0);

  // The 64 log-odds of a white pixel, row by row: a hidden layer of SiLU units, a * sigmoid(a), then a linear one.
  function decode({ z1, z2 }) {
    const hidden = W1.map((w, i) => {
      const a = w[0] * z1 + w[1] * z2 + b1[0][i];
      return a * sigmoid(a);
    });
    return W2.map((w, i) => dot(w, hidden) + b2[0][i]);
  }

  // Of a standard normal in the plane: log p(z) in nats, and the probability of a code further from the middle.
  const logPrior = ({ z1, z2 }) => -Math.log(2 * Math.PI) - 0.5 * (z1 ** 2 + z2 ** 2);
  const further = ({ z1, z2 }) => Math.exp(-0.5 * (z1 ** 2 + z2 ** 2));

  const distance = (one, other) => Math.hypot(one.z1 - other.z1, one.z2 - other.z2);
  const smallest = (things, size) => things.reduce((one, other) => (size(other) < size(one) ? other : one));
  const nearest = (z) => smallest(codes, (code) => distance(code, z));

  // The most central code of a class: the one with the least sum of distances to the others.
  function typical(digit) {
    const own = codes.filter((code) => code.digit === digit);
    return smallest(own, (code) => own.reduce((sum, other) => sum + distance(code, other), 0));
  }

  function terms(z) {
    return { logPrior: logPrior(z), further: further(z), nearest: nearest(z).digit };
  }

  // ---------------------------------------------------------------- the figure

  const LIMIT = 3.2;
  const RANGES = {
    z1: { min: -LIMIT, max: LIMIT, step: 0.01, text: "<i>z</i><sub>1</sub>" },
    z2: { min: -LIMIT, max: LIMIT, step: 0.01, text: "<i>z</i><sub>2</sub>" },
  };
  const START = { z1: 0.6, z2: 1.7 };
  const inside = codes.filter((code) => Math.max(Math.abs(code.z1), Math.abs(code.z2)) < LIMIT);
  const outside = codes.length - inside.length;
  const WALK = { from: 4, to: 0, milliseconds: 6000, jumps: 12 };

  function build({ id, find, set, glide, handle, place, drag, state, stop }) {
    const under = svg("g");
    const grip = handle("z", {
      "aria-label": "Code", "aria-roledescription": "point in the plane", "aria-valuemin": -LIMIT, "aria-valuemax": LIMIT,
    });
    const plot = svg("svg", { role: "group", "aria-label": "Plane of codes", "aria-describedby": `${id}-text` }, under, grip);
    find(".gm-live-plot").append(plot);
    const canvas = find("canvas");
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(8, 8);

    let box = { left: 0, right: 0, top: 0, bottom: 0 };
    const x = (z1) => box.left + (z1 + LIMIT) / (2 * LIMIT) * (box.right - box.left);
    const y = (z2) => box.bottom - (z2 + LIMIT) / (2 * LIMIT) * (box.bottom - box.top);

    // Everything but the point and the image stays as it is until the width changes.
    function plane(width) {
      box = { left: 28, right: width - 2, top: 2, bottom: width - 28 }; // a square
      fit(plot, width, box.bottom + 22);
      const numerals = whole(0, 9).map((digit) => {
        const own = inside.filter((code) => code.digit === digit);
        const [xs, ys] = [own.map((code) => x(code.z1).toFixed(1)), own.map((code) => (y(code.z2) + 4).toFixed(1))];
        return svg("text", { class: "gm-m-digits", x: xs.join(" "), y: ys.join(" ") }, String(digit).repeat(own.length));
      });
      const circle = (radius) => svg("circle", { class: "gm-m-prior", cx: x(0), cy: y(0), r: x(radius) - x(0) });
      const values = whole(-3, 2);
      refresh(under,
        svg("rect", { class: "gm-m-frame", x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }),
        circle(1),
        circle(2),
        ...numerals,
        svg("text", { class: "gm-m-name gm-t-prior", x: box.left + 8, y: box.top + 18 }, "circles: 1 and 2 standard deviations of the prior"),
        svg("text", { class: "gm-m-name", "text-anchor": "end", x: box.right - 8, y: box.bottom - 9 }, `${outside} of ${codes.length} lie outside`),
        svg("g", { class: "gm-axis" },
          ...ticks({ values, at: x, y: box.bottom }),
          ...values.map((value) => svg("line", { x1: box.left - 4, x2: box.left, y1: y(value), y2: y(value) })),
          ...values.map((value) => svg("text", { class: "gm-axis-last", x: box.left - 7, y: y(value) + 4 }, print(value, 0))),
          svg("text", { class: "gm-axis-name", x: box.right, y: box.bottom + 18 }, "z₁"),
          svg("text", { class: "gm-axis-name", x: box.left - 7, y: box.top + 12 }, "z₂")),
      );
    }

    let drawnAt = 0;
    function draw(z, values, width) {
      if (width !== drawnAt) plane(width);
      drawnAt = width;
      decode(z).forEach((logit, i) => {
        const level = Math.round(255 * sigmoid(logit));
        pixels.data.set([level, level, level, 255], 4 * i);
      });
      context.putImageData(pixels, 0, 0);
      canvas.setAttribute("aria-label", `The decoded image, 8 by 8 pixels; the nearest held-out digit is a ${values.nearest}`);
      place("z", x(z.z1), y(z.z2));
      grip.setAttribute("aria-valuenow", z.z1.toFixed(2));
      grip.setAttribute("aria-valuetext", `z1 ${print(z.z1, 2)}, z2 ${print(z.z2, 2)}`);
    }

    grip.addEventListener("keydown", (event) => {
      const upright = ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key);
      const key = upright ? "z2" : "z1";
      const value = nudge(event.key, state()[key], RANGES[key]);
      if (value === undefined) return;
      event.preventDefault();
      stop();
      set({ [key]: value });
    });

    // A mouse takes the point from anywhere. A finger that starts elsewhere scrolls the page, which would else be stuck
    // on a phone that the plane fills; a tap brings the point.
    const held = (event) => event.target.closest("[data-handle]") !== null;
    const codeUnder = (event) => {
      const frame = plot.getBoundingClientRect();
      const share = (value, min, max) => -LIMIT + 2 * LIMIT * (value - min) / (max - min);
      return {
        z1: clamp(share(event.clientX - frame.left, box.left, box.right), RANGES.z1),
        z2: clamp(share(event.clientY - frame.top, box.bottom, box.top), RANGES.z2),
      };
    };
    plot.addEventListener("touchstart", (event) => { if (held(event)) event.preventDefault(); }, { passive: false });
    let tap = null;
    plot.addEventListener("pointerup", (event) => {
      if (tap && Math.hypot(event.clientX - tap.clientX, event.clientY - tap.clientY) < 10) {
        stop();
        set(codeUnder(event));
      }
      tap = null;
    });
    plot.addEventListener("pointercancel", () => { tap = null; }); // it became a scroll
    drag(plot, (event) => {
      tap = event.pointerType === "touch" && !held(event) ? event : null;
      if (tap) return null;
      const z = codeUnder(event);
      const off = held(event) ? { z1: state().z1 - z.z1, z2: state().z2 - z.z2 } : { z1: 0, z2: 0 };
      const move = (e) => {
        const now = codeUnder(e);
        set({ z1: clamp(now.z1 + off.z1, RANGES.z1), z2: clamp(now.z2 + off.z2, RANGES.z2) });
      };
      grip.focus({ preventScroll: true });
      move(event);
      return move;
    });

    const button = find("[data-do=walk]");
    const chosen = (name) => typical(Number(find(`select[name=${name}]`).value));
    const at = ({ z1, z2 }) => ({ z1: clamp(z1, RANGES.z1), z2: clamp(z2, RANGES.z2) });
    let walking = false;
    button.addEventListener("click", () => {
      if (walking) return stop();
      stop();
      set(at(chosen("from")));
      walking = true;
      button.textContent = "Stop";
      glide(at(chosen("to")), {
        milliseconds: WALK.milliseconds,
        jumps: WALK.jumps,
        ease: (part) => part,
        done: () => { walking = false; button.textContent = "Walk"; },
      });
    });
    return draw;
  }

  const select = (name, text, chosen) => `
    <label>${text} <select name="${name}">${whole(0, 9).map((digit) => `
      <option${digit === chosen ? " selected" : ""}>${digit}</option>`).join("")}</select></label>`;

  window.genmodelsLive["manifold"] = { START, RANGES, codes, decode, sigmoid, nearest, typical, terms };

  figure("manifold", {
    label: "The plane of codes, to move in",
    description: `A plane of codes in which each of ${codes.length} held-out digits stands as a numeral where the encoder puts it
      (${outside} of them lie outside of the part shown). Two circles mark one and two standard deviations of the prior. A point
      can be moved with the arrow keys or the sliders; the image beside the plane is its code, decoded.`,
    ranges: RANGES,
    start: START,
    drawing: `<div class="gm-live-plot"></div><div class="gm-live-image"><canvas width="8" height="8" role="img"></canvas></div>`,
    numbers: [
      { name: "nearest", text: "nearest held-out digit" },
      { name: "logPrior", text: "log <i>p</i>(<i>z</i>), nats" },
      { name: "further", text: "of the prior's codes lie further out" },
    ],
    controls: `<div class="gm-live-walk">${select("from", "From a", WALK.from)}${select("to", "to a", WALK.to)}
      <button type="button" class="gm-button" data-do="walk">Walk</button></div>`,
    values: (z) => {
      const values = terms(z);
      return { ...values, nearest: String(values.nearest), further: `${print(100 * values.further, 1)} %` };
    },
    say: (values, z) => `z1 ${print(z.z1, 2)}, z2 ${print(z.z2, 2)}: the nearest held-out digit is a ${values.nearest}`,
    build,
  });
})();
