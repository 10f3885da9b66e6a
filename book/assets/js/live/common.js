// What the live figures share: the frame of sliders and printed numbers around the drawing, handles that are moved by
// pointer, touch and keys, and the redrawing. A classic script, so that it loads from file://; it is loaded before the
// figures, which take it from `window.genmodelsLive.common`.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const FOLDER = document.currentScript.src;

  const clamp = (value, { min, max }) => Math.min(max, Math.max(min, value));

  function print(value, digits = 3) {
    const text = Math.abs(value).toFixed(digits);
    return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
  }

  // 2.1 × 10⁻⁵
  function scientific(value, digits = 1) {
    const [first, power] = Math.abs(value).toExponential(digits).split("e");
    const raised = Array.from(power.replace("+", ""), (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
    return `${value < 0 ? "−" : ""}${first} × 10${raised}`;
  }

  function svg(name, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function html(text) {
    const template = document.createElement("template");
    template.innerHTML = text.trim();
    return template.content.firstElementChild;
  }

  const line = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");

  // Curves over the same places: what is written of x is written once, and only the heights for each curve.
  function over(places) {
    const begun = places.map((x, i) => `${i ? "L" : "M"}${x.toFixed(1)} `);
    return (height) => {
      let d = "";
      for (let i = 0; i < begun.length; i++) d += begun[i] + height(i).toFixed(1);
      return d;
    };
  }

  // A drawing is changed once a frame, and changing it costs the browser more than comparing it: these two write only what
  // differs. `setAll` gives a node attributes, `refresh` makes its children what is given, each where it already stands if it can.
  function setAll(node, attributes) {
    for (const [key, value] of Object.entries(attributes)) {
      if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value);
    }
  }

  function refresh(parent, ...nodes) {
    nodes.forEach((node, i) => {
      const old = parent.childNodes[i];
      if (!old) parent.append(node);
      else if (old.nodeName !== node.nodeName) old.replaceWith(node);
      else become(old, node);
    });
    while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
  }

  function become(old, node) {
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== node.data) old.data = node.data;
      return;
    }
    for (const name of old.getAttributeNames()) if (!node.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    refresh(old, ...node.childNodes);
  }

  // A drawing at its real size in pixels.
  const fit = (plot, width, height) => setAll(plot, { viewBox: `0 0 ${width} ${height}`, height });

  function whole(from, to, step = 1) {
    const values = [];
    for (let value = from; value <= to; value += step) values.push(value);
    return values;
  }

  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  // An array in fixed point: whole numbers of `bits` bits, half of their range added, each as two letters for up to 12 bits, or
  // three; all the first letters, all the second, ... They are multiplied by `scale`, and by what `rows` says of each row.
  function unpack({ shape, scale, letters, bits = 16, rows = [1] }) {
    const value = Object.fromEntries([...LETTERS].map((letter, i) => [letter, i]));
    const size = shape.reduce((product, side) => product * side, 1);
    const values = new Float64Array(size);
    for (let at = 0; at < letters.length; at += size) {
      for (let i = 0; i < size; i++) values[i] = 64 * values[i] + value[letters[at + i]];
    }
    return { shape, values: values.map((n, i) => scale * rows[Math.floor(i * rows.length / size)] * (n - 2 ** (bits - 1))) };
  }

  // An image of 8 by 8 values from -1, black, to 1, white; what lies beyond is clipped.
  function paint(canvas, image, left = 0, top = 0) {
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(8, 8);
    image.forEach((value, i) => {
      const level = Math.round(255 * (value + 1) / 2);
      pixels.data.set([level, level, level, 255], 4 * i);
    });
    context.putImageData(pixels, left, top);
  }

  // Marks and numbers below a horizontal axis at height y. With `flush`, the first and the last number stay within its ends.
  function ticks({ values, at, y, text = (value) => print(value, 0), flush = false }) {
    const side = { 0: "gm-axis-first", [values.length - 1]: "gm-axis-last" };
    return values.flatMap((value, i) => [
      svg("line", { x1: at(value), x2: at(value), y1: y, y2: y + 4 }),
      svg("text", { x: at(value), y: y + 18, class: (flush && side[i]) || "" }, text(value)),
    ]);
  }

  // ---------------------------------------------------------------- ranges

  // A range is { min, max, step, text, digits? }, printed with two digits after the point unless it says how many, or
  // { min, max, log: n, text } for a slider of n steps of one factor each, or { choices, text } for one of a list of numbers.
  const slide = {
    attributes({ min, max, step, log, choices }) {
      if (choices) return { min: 0, max: choices.length - 1, step: 1 };
      return log ? { min: 0, max: log, step: 1 } : { min, max, step };
    },
    to(value, { min, max, log, choices }) {
      if (choices) return choices.indexOf(value);
      return log ? Math.round(log * Math.log(value / min) / Math.log(max / min)) : value;
    },
    from(place, { min, max, log, choices }) {
      if (choices) return choices[place];
      return log ? Number((min * (max / min) ** (place / log)).toPrecision(3)) : place;
    },
    print: (value, { log, digits = 2 }) => (log ? value.toPrecision(3) : print(value, digits)),
  };

  const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

  // Where a key takes a handle: 0.05 a step, or 5 % of it on a logarithmic range; undefined if the key means nothing to it.
  function nudge(key, value, range) {
    if (key === "Home") return range.min;
    if (key === "End") return range.max;
    if (!(key in KEYS)) return undefined;
    return clamp(range.log ? value * 1.05 ** KEYS[key] : value + 0.05 * KEYS[key], range);
  }

  // ---------------------------------------------------------------- the figure

  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const smooth = (part) => part * part * (3 - 2 * part);

  /*
   * Put the figure into each of its stages on the page. `spec` holds
   *   label, description   what a screen reader is told of it
   *   ranges, start        the state: a name for each slider, in the order of the sliders
   *   drawing              the HTML of the drawing's boxes; the first .gm-live-plot gives the width
   *   numbers              [{ name, text, class? }], each printed with values[name]
   *   controls             more HTML, below the sliders
   *   values(state)        what is computed: { name: number or text }
   *   say(values, state)   the sentence that is read out once the reader has stopped moving
   *   build(figure)        draws what never changes; returns draw(state, values, width)
   */
  function figure(name, spec) {
    eachStage(name, (stage, id) => mount(stage, name, id, spec));
  }

  // One whose data are large: `<name>-data.js` is loaded when the reader comes near the stage, and `specify(data)` returns
  // the spec. Until then, and should it fail, the still stays.
  function lazyFigure(name, specify) {
    eachStage(name, (stage, id) => whenNear(stage, () => load(`${name}-data`, (data) => mount(stage, name, id, specify(data)))));
  }

  function eachStage(name, then) {
    const start = () => document.querySelectorAll(`[data-live='${name}']`).forEach((stage, number) => {
      then(stage, `${name}-${number}`);
    });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
  }

  function whenNear(stage, then) {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      then();
    }, { rootMargin: "600px" });
    observer.observe(stage);
  }

  // By a script element: fetch does not work from file://.
  function load(name, then) {
    if (window.genmodelsLive[name]) return then(window.genmodelsLive[name]);
    const script = document.createElement("script");
    script.src = new URL(`${name}.js`, FOLDER);
    script.addEventListener("load", () => then(window.genmodelsLive[name]));
    document.head.append(script);
  }

  function frame(name, id, spec) {
    const sliders = Object.entries(spec.ranges).map(([key, range]) => {
      const { min, max, step } = slide.attributes(range);
      return `
        <div class="gm-live-slider">
          <label for="${id}-${key}">${range.text}</label>
          <input type="range" id="${id}-${key}" name="${key}" min="${min}" max="${max}" step="${step}">
          <output for="${id}-${key}" data-out="${key}" aria-live="off"></output>
        </div>`;
    });
    const numbers = spec.numbers.map((number) => `
      <div class="${number.class || ""}"><dt>${number.text}</dt>
        <dd><output data-out="${number.name}" aria-live="off"></output></dd></div>`);
    return html(`
      <div class="gm-live-ui gm-live-${name}" role="group" aria-label="${spec.label}">
        <p class="gm-hidden" id="${id}-text">${spec.description}</p>
        ${spec.drawing}
        <dl class="gm-live-numbers">${numbers.join("")}</dl>
        <div class="gm-live-controls">${sliders.join("")}${spec.controls || ""}</div>
        <p class="gm-hidden" role="status"></p>
      </div>`);
  }

  function mount(stage, name, id, spec) {
    const { ranges } = spec;
    const ui = frame(name, id, spec);
    const find = (selector) => ui.querySelector(selector);
    const status = find("[role=status]");
    const inputs = Object.fromEntries(Object.keys(ranges).map((key) => [key, find(`input[name=${key}]`)]));
    const handles = {};
    let outputs = [];
    let state = { ...spec.start };
    let width = 0;

    // ---- drawing, at most once a frame
    let pending = 0;
    let spoken = 0;
    let moved = false;

    function redraw() {
      pending = 0;
      const values = spec.values(state);
      draw(state, values, width);
      for (const { node, key } of outputs) {
        const value = key in ranges ? slide.print(state[key], ranges[key]) : values[key];
        const text = String(typeof value === "number" ? print(value) : value);
        if (node.textContent !== text) node.textContent = text;
      }
      for (const [key, input] of Object.entries(inputs)) {
        const to = String(slide.to(state[key], ranges[key]));
        if (input.value !== to) input.value = to;
        setAll(input, { "aria-valuetext": slide.print(state[key], ranges[key]) });
      }
      for (const [key, { node }] of Object.entries(handles)) {
        if (!(key in ranges)) continue;
        setAll(node, { "aria-valuenow": Number(state[key].toFixed(3)), "aria-valuetext": slide.print(state[key], ranges[key]) });
      }
      // Said once the reader has stopped moving, or a screen reader would never come to an end.
      clearTimeout(spoken);
      if (moved) spoken = setTimeout(() => { status.textContent = spec.say(values, state); }, 700);
    }

    function set(change) {
      state = { ...state, ...change };
      moved = true;
      redrawSoon();
    }

    // For a drawing that is not finished yet.
    function redrawSoon() {
      pending ||= requestAnimationFrame(redraw);
    }

    // ---- moving by itself, until it arrives or the reader takes over
    let stop = () => {};

    // Readers who want no motion get `jumps` jumps instead, at the same pace.
    function glide(goal, { milliseconds = 450, ease = smooth, jumps = 1, done = () => {} } = {}) {
      stop();
      const from = state;
      const began = performance.now();
      const reach = (part) => {
        const between = (key) => from[key] + (goal[key] - from[key]) * ease(part);
        set(part < 1 ? Object.fromEntries(Object.keys(goal).map((key) => [key, between(key)])) : goal);
        if (part >= 1) stop();
      };
      let frameId = 0;
      let timer = 0;
      stop = () => {
        cancelAnimationFrame(frameId);
        clearTimeout(timer);
        stop = () => {};
        done();
      };
      const glideOn = (now) => {
        frameId = requestAnimationFrame(glideOn);
        reach(clamp((now - began) / milliseconds, { min: 0, max: 1 }));
      };
      const jumpOn = (count) => {
        timer = setTimeout(jumpOn, milliseconds / jumps, count + 1);
        reach(count / jumps);
      };
      if (still()) jumpOn(1);
      else frameId = requestAnimationFrame(glideOn);
    }

    // ---- handles
    function handle(key, attributes) {
      const node = svg("g", {
        class: "gm-handle", role: "slider", tabindex: 0, "data-handle": key, "aria-describedby": `${id}-text`, ...attributes,
      }, svg("circle", { r: 22, class: "gm-handle-reach" }), svg("circle", { r: 7, class: "gm-handle-dot" }));
      handles[key] = { node, x: 0, y: 0 };
      return node;
    }

    // A handle for one number of the state.
    function slider(key, label) {
      const range = ranges[key];
      const node = handle(key, { "aria-label": label, "aria-valuemin": range.min, "aria-valuemax": range.max });
      node.addEventListener("keydown", (event) => {
        const value = nudge(event.key, state[key], range);
        if (value === undefined) return;
        event.preventDefault();
        stop();
        set({ [key]: value });
      });
      return node;
    }

    function place(key, x, y) {
      Object.assign(handles[key], { x, y });
      setAll(handles[key].node, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
    }

    function nearest(plot, event) {
      const box = plot.getBoundingClientRect();
      const away = ({ x, y }) => Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y);
      return Object.keys(handles).reduce((one, other) => (away(handles[other]) < away(handles[one]) ? other : one));
    }

    // `begin(event)` starts a drag and returns what to do as the pointer moves.
    function drag(plot, begin) {
      plot.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        const move = begin(event);
        if (!move) return;
        stop();
        plot.setPointerCapture(event.pointerId);
        const end = () => {
          plot.removeEventListener("pointermove", move);
          plot.removeEventListener("pointerup", end);
          plot.removeEventListener("pointercancel", end);
        };
        plot.addEventListener("pointermove", move);
        plot.addEventListener("pointerup", end);
        plot.addEventListener("pointercancel", end);
        event.preventDefault();
      });
    }

    // A drag that starts anywhere in the plot moves the nearer handle sideways, by as much as the pointer moves.
    function dragSideways(plot, unitsPerPixel) {
      drag(plot, (event) => {
        const key = nearest(plot, event);
        const begun = { x: event.clientX, value: state[key] };
        handles[key].node.focus({ preventScroll: true });
        return (e) => set({ [key]: clamp(begun.value + (e.clientX - begun.x) * unitsPerPixel(), ranges[key]) });
      });
    }

    for (const [key, input] of Object.entries(inputs)) {
      input.addEventListener("input", () => {
        stop();
        set({ [key]: slide.from(Number(input.value), ranges[key]) });
      });
    }

    const draw = spec.build({
      id, find, set, glide, handle, slider, place, nearest, drag, dragSideways, state: () => state, stop: () => stop(),
      redraw: redrawSoon,
    });
    outputs = Array.from(ui.querySelectorAll("output"), (node) => ({ node, key: node.dataset.out }));
    stage.append(ui);
    stage.classList.add("gm-live-on");
    // Everything is drawn at its real size in pixels, so that its text has the same size on a phone.
    const measured = find(".gm-live-plot");
    new ResizeObserver(() => {
      const now = Math.floor(measured.clientWidth);
      if (now > 0 && now !== width) {
        width = now;
        redraw();
      }
    }).observe(measured);
  }

  window.genmodelsLive = window.genmodelsLive || {};
  window.genmodelsLive.common = {
    clamp, print, scientific, svg, line, over, setAll, refresh, fit, paint, whole, ticks, slide, nudge, figure, lazyFigure, unpack,
    LETTERS,
  };
})();
