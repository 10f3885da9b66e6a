// The bound and its gap, in a model that can be solved exactly: p(z) = N(0, 1), p(x | z) = N(w z, s2).
// The reader moves x and an approximate posterior q(z) = N(mu, sigma^2). Everything is a closed form.
// A classic script, so that it loads from file://. What it computes is in `window.genmodelsLive["elbo-gap"]`.
(function () {
  "use strict";

  const MODEL = { w: 1, s2: 0.5 };
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
    x: { min: -3, max: 3, step: 0.01, text: "observation <i>x</i>" },
    mu: { min: -3, max: 3, step: 0.01, text: "mean <i>μ</i> of <i>q</i>" },
    sigma: { min: 0.2, max: 2, step: 0.01, text: "standard deviation <i>σ</i> of <i>q</i>" },
  };
  const START = { x: 1.5, mu: -0.6, sigma: 0.9 };
  const Z = { min: -4, max: 4 };
  const NATS = { min: -10, max: 0 };
  const SVG = "http://www.w3.org/2000/svg";

  const clamp = (value, { min, max }) => Math.min(max, Math.max(min, value));

  function print(value, digits = 3) {
    const text = Math.abs(value).toFixed(digits);
    return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
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

  function mount(stage, number) {
    const id = `elbo-gap-${number}`;
    let state = { ...START };

    const slider = (name) => `
      <div class="gm-live-slider">
        <label for="${id}-${name}">${RANGES[name].text}</label>
        <input type="range" id="${id}-${name}" name="${name}" min="${RANGES[name].min}" max="${RANGES[name].max}"
               step="${RANGES[name].step}">
        <output for="${id}-${name}" data-out="${name}" aria-live="off"></output>
      </div>`;
    const ui = html(`
      <div class="gm-live-ui" role="group" aria-label="The bound and its gap, to move">
        <p class="gm-hidden" id="${id}-text">Three curves over z: the prior, the exact posterior, and the approximation q,
          which has one handle at its mean and one a standard deviation to the right. Below them a bar in nats: the ELBO
          ends short of log p(x), and what is missing is the gap. The numbers are printed below the bar.</p>
        <div class="gm-live-plot"></div>
        <div class="gm-live-bar"></div>
        <dl class="gm-live-numbers">
          <div><dt>log <i>p</i>(<i>x</i>)</dt><dd><output data-out="logProb" aria-live="off"></output></dd></div>
          <div class="gm-n-elbo"><dt>ELBO</dt><dd><output data-out="elbo" aria-live="off"></output></dd></div>
          <div class="gm-n-gap"><dt>gap, KL(<i>q</i> ‖ <i>p</i>(<i>z</i>|<i>x</i>))</dt>
            <dd><output data-out="gap" aria-live="off"></output></dd></div>
          <div><dt>E<sub><i>q</i></sub> log <i>p</i>(<i>x</i>|<i>z</i>)</dt>
            <dd><output data-out="recon" aria-live="off"></output></dd></div>
          <div><dt>KL(<i>q</i> ‖ <i>p</i>(<i>z</i>))</dt>
            <dd><output data-out="klPrior" aria-live="off"></output></dd></div>
        </dl>
        <div class="gm-live-controls">${slider("mu")}${slider("sigma")}${slider("x")}
          <button type="button" class="gm-button" data-do="posterior">Set <i>q</i> to the exact posterior</button>
        </div>
        <p class="gm-hidden" role="status"></p>
      </div>`);
    const find = (selector) => ui.querySelector(selector);
    const status = find("[role=status]");
    const inputs = Object.fromEntries(Object.keys(RANGES).map((name) => [name, find(`input[name=${name}]`)]));

    // The plot: drawn at its real size in pixels, so that its text has the same size on a phone.
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
    const handle = (name, label) => svg("g", {
      class: "gm-handle", role: "slider", tabindex: 0, "data-handle": name, "aria-label": label,
      "aria-valuemin": RANGES[name].min, "aria-valuemax": RANGES[name].max, "aria-describedby": `${id}-text`,
    }, svg("circle", { r: 22, class: "gm-handle-reach" }), svg("circle", { r: 7, class: "gm-handle-dot" }));
    const handles = { mu: handle("mu", "Mean of q"), sigma: handle("sigma", "Standard deviation of q") };
    const axis = svg("g", { class: "gm-axis" });
    const plot = svg("svg", { role: "group", "aria-label": "Plot over z", "aria-describedby": `${id}-text` },
      axis, fill, curves.prior, curves.exact, curves.q, texts.prior, texts.exact, texts.q, handles.mu, handles.sigma);
    const bar = svg("svg", { "aria-hidden": "true" });
    find(".gm-live-plot").append(plot);
    find(".gm-live-bar").append(bar);
    stage.append(ui);
    stage.classList.add("gm-live-on");

    let width = 0;
    let toPixels = () => 0; // z to pixels, set by draw
    let zPerPixel = 0;

    function draw() {
      const exact = posterior(state.x);
      const values = terms(state);
      const height = width < 480 ? 210 : 250;
      const box = { left: 8, right: width - 8, top: 22, bottom: height - 26 };
      const variance = state.sigma ** 2;
      const peaks = { prior: density(0, 0, 1), exact: density(0, 0, exact.variance), q: density(0, 0, variance) };
      const top = Math.max(peaks.exact, peaks.q) * 1.08;
      toPixels = (z) => box.left + (z - Z.min) / (Z.max - Z.min) * (box.right - box.left);
      zPerPixel = (Z.max - Z.min) / (box.right - box.left);
      const y = (p) => box.bottom - p / top * (box.bottom - box.top);
      const path = (mean, v) => {
        const points = [];
        for (let i = 0; i <= 240; i++) {
          const z = Z.min + (Z.max - Z.min) * i / 240;
          points.push(`${toPixels(z).toFixed(1)} ${y(density(z, mean, v)).toFixed(1)}`);
        }
        return "M" + points.join("L");
      };
      plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
      plot.setAttribute("height", height);
      curves.prior.setAttribute("d", path(0, 1));
      curves.exact.setAttribute("d", path(exact.mean, exact.variance));
      curves.q.setAttribute("d", path(state.mu, variance));
      fill.setAttribute("d", `${path(state.mu, variance)}L${box.right} ${box.bottom}L${box.left} ${box.bottom}Z`);

      const marks = [svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom })];
      for (let z = Z.min; z <= Z.max; z++) {
        marks.push(svg("line", { x1: toPixels(z), x2: toPixels(z), y1: box.bottom, y2: box.bottom + 4 }));
        if (z > Z.min && z < Z.max) marks.push(svg("text", { x: toPixels(z), y: box.bottom + 18 }, print(z, 0)));
      }
      marks.push(svg("text", { x: box.right - 2, y: box.bottom + 18, class: "gm-axis-name" }, "z"));
      axis.replaceChildren(...marks);

      place(handles.mu, toPixels(state.mu), y(peaks.q));
      place(handles.sigma, toPixels(state.mu + state.sigma), y(density(state.sigma, 0, variance)));
      labels(box, y, exact, peaks);
      drawBar(values);
      report(values);
    }

    function place(node, x, y) {
      node.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    }

    // Names stand at their curves: the posterior's and q's away from each other, the prior's on its free flank.
    function labels(box, y, exact, peaks) {
      const left = state.mu < exact.mean;
      const put = (text, z, p, anchor, dx, dy) => {
        const room = text.getComputedTextLength();
        let at = toPixels(z) + dx;
        at = anchor === "end" ? clamp(at, { min: box.left + room, max: box.right }) : clamp(at, { min: box.left, max: box.right - room });
        text.setAttribute("text-anchor", anchor);
        text.setAttribute("x", at);
        text.setAttribute("y", Math.max(12, y(p) + dy));
      };
      put(texts.q, state.mu, peaks.q, left ? "end" : "start", left ? -14 : 14, -3);
      const side = Math.sqrt(exact.variance) * 0.75 * (left ? 1 : -1);
      put(texts.exact, exact.mean + side, density(side, 0, exact.variance), left ? "start" : "end", left ? 8 : -8, -4);
      const flank = left ? -2 : 2;
      const away = Math.abs(state.mu - flank) < 1.3 && state.sigma < 1.6 ? -flank : flank;
      put(texts.prior, away, density(away, 0, 1), away < 0 ? "end" : "start", away < 0 ? -4 : 4, -8);
    }

    function drawBar(values) {
      const height = 72;
      const box = { left: 8, right: width - 8, top: 24, bottom: 46 };
      const at = (nats) => box.left + (clamp(nats, NATS) - NATS.min) / (NATS.max - NATS.min) * (box.right - box.left);
      const [elbo, whole] = [at(values.elbo), at(values.logProb)];
      bar.setAttribute("viewBox", `0 0 ${width} ${height}`);
      bar.setAttribute("height", height);
      const parts = [
        svg("rect", { x: box.left, y: box.top, width: Math.max(0, elbo - box.left), height: box.bottom - box.top, class: "gm-b-elbo" }),
        svg("rect", { x: elbo, y: box.top, width: Math.max(0, whole - elbo), height: box.bottom - box.top, class: "gm-b-gap" }),
        svg("line", { x1: whole, x2: whole, y1: box.top - 6, y2: box.bottom + 4, class: "gm-b-line" }),
        svg("text", { x: clamp(whole, { min: box.left + 24, max: box.right - 26 }), y: box.top - 11, class: "gm-b-name" }, "log p(x)"),
      ];
      if (elbo - box.left > 44) parts.push(svg("text", { x: box.left + 8, y: box.bottom - 6, class: "gm-b-in" }, "ELBO"));
      if (values.elbo < NATS.min) parts.push(svg("text", { x: box.left + 6, y: box.bottom - 6, class: "gm-b-off" }, "◂ the ELBO is further left"));
      else if (whole - elbo > 34) parts.push(svg("text", { x: (elbo + whole) / 2, y: box.bottom - 6, class: "gm-b-mid" }, "gap"));
      const axisMarks = svg("g", { class: "gm-axis" });
      for (let nats = NATS.min; nats <= NATS.max; nats += 2) {
        axisMarks.append(
          svg("line", { x1: at(nats), x2: at(nats), y1: box.bottom, y2: box.bottom + 4 }),
          svg("text", {
            x: at(nats), y: box.bottom + 18,
            class: nats === NATS.min ? "gm-axis-first" : nats === NATS.max ? "gm-axis-last" : "",
          }, print(nats, 0) + (nats === NATS.max ? " nats" : "")),
        );
      }
      bar.replaceChildren(axisMarks, ...parts);
    }

    let spoken = 0;
    function report(values) {
      for (const output of ui.querySelectorAll("output")) {
        const name = output.dataset.out;
        output.textContent = name in RANGES ? print(state[name], 2) : print(values[name]);
      }
      for (const [name, input] of Object.entries(inputs)) {
        input.value = state[name];
        input.setAttribute("aria-valuetext", print(state[name], 2));
      }
      for (const [name, node] of Object.entries(handles)) {
        node.setAttribute("aria-valuenow", state[name].toFixed(2));
        node.setAttribute("aria-valuetext", print(state[name], 2));
      }
      // Said once the reader has stopped moving, or a screen reader would never come to an end.
      clearTimeout(spoken);
      if (moved) {
        spoken = setTimeout(() => {
          status.textContent = `log p(x) ${print(values.logProb)}, ELBO ${print(values.elbo)}, gap ${print(values.gap)} nats`;
        }, 700);
      }
    }

    let pending = 0;
    let moved = false;
    function set(change) {
      state = { ...state, ...change };
      moved = true;
      pending ||= requestAnimationFrame(() => { pending = 0; draw(); });
    }

    // ---- moving: sliders, handles by pointer and by keys, the button
    let gliding = 0;
    const stop = () => { cancelAnimationFrame(gliding); gliding = 0; };

    for (const [name, input] of Object.entries(inputs)) {
      input.addEventListener("input", () => { stop(); set({ [name]: Number(input.value) }); });
    }

    const steps = { ArrowRight: 0.05, ArrowUp: 0.05, ArrowLeft: -0.05, ArrowDown: -0.05, PageUp: 0.5, PageDown: -0.5 };
    for (const [name, node] of Object.entries(handles)) {
      node.addEventListener("keydown", (event) => {
        let value;
        if (event.key in steps) value = state[name] + steps[event.key];
        else if (event.key === "Home") value = RANGES[name].min;
        else if (event.key === "End") value = RANGES[name].max;
        else return;
        event.preventDefault();
        stop();
        set({ [name]: clamp(value, RANGES[name]) });
      });
    }

    // A drag that starts anywhere in the plot moves the nearer handle; it moves by as much as the pointer does.
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stop();
      const x = event.clientX - plot.getBoundingClientRect().left;
      const distance = { mu: Math.abs(x - toPixels(state.mu)), sigma: Math.abs(x - toPixels(state.mu + state.sigma)) };
      const grabbed = event.target.closest("[data-handle]")?.dataset.handle;
      // The handles' reaches overlap when q is narrow: the nearer one is meant.
      const name = grabbed && distance.mu > 22 && distance.sigma > 22 ? grabbed : distance.mu <= distance.sigma ? "mu" : "sigma";
      const start = { pointer: event.clientX, value: state[name] };
      plot.setPointerCapture(event.pointerId);
      handles[name].focus({ preventScroll: true });
      const move = (e) => set({ [name]: clamp(start.value + (e.clientX - start.pointer) * zPerPixel, RANGES[name]) });
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

    find("[data-do=posterior]").addEventListener("click", () => {
      stop();
      const { mean, variance } = posterior(state.x);
      const goal = { mu: mean, sigma: Math.sqrt(variance) };
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return set(goal);
      const from = { mu: state.mu, sigma: state.sigma };
      const began = performance.now();
      const glide = (now) => {
        const part = Math.min(1, Math.max(0, (now - began) / 450));
        const eased = part * part * (3 - 2 * part);
        gliding = part < 1 ? requestAnimationFrame(glide) : 0;
        set(part < 1 ? {
          mu: from.mu + (goal.mu - from.mu) * eased,
          sigma: from.sigma + (goal.sigma - from.sigma) * eased,
        } : goal);
      };
      gliding = requestAnimationFrame(glide);
    });

    new ResizeObserver(() => {
      const now = Math.floor(find(".gm-live-plot").clientWidth);
      if (now > 0 && now !== width) { width = now; draw(); }
    }).observe(find(".gm-live-plot"));
  }

  window.genmodelsLive = window.genmodelsLive || {};
  window.genmodelsLive["elbo-gap"] = { MODEL, START, RANGES, density, posterior, logProb, kl, terms, print };

  function start() {
    document.querySelectorAll("[data-live='elbo-gap']").forEach(mount);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
