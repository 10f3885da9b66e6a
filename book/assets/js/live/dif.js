// What the figures of diffusion share: noise schedules, noise, and the steps of a sampler. Tables are indexed by t, from 0
// to T; entry 0 is the data.
// A classic script, loaded before the figures whose names begin with "dif-" (book/_ext/live.py).
(function () {
  "use strict";

  const { whole } = window.genmodelsLive.common;

  // From the variances that steps 1 to T add.
  function tables(steps) {
    const beta = [0, ...steps];
    const alpha = beta.map((b) => 1 - b);
    const alphaBar = [1];
    for (let t = 1; t < beta.length; t++) alphaBar.push(alphaBar[t - 1] * alpha[t]);
    const betaTilde = beta.map((b, t) => (t < 1 ? 0 : b * (1 - alphaBar[t - 1]) / (1 - alphaBar[t])));
    // The weight of the squared error of the noise in the bound; at t = 1, where betaTilde is 0, beta takes its place.
    const weight = beta.map((b, t) => (t < 1 ? 0 : b * b / (2 * (t > 1 ? betaTilde[t] : b) * alpha[t] * (1 - alphaBar[t]))));
    return { T: steps.length, beta, alpha, alphaBar, betaTilde, snr: alphaBar.map((a) => a / (1 - a)), weight };
  }

  const linear = (T, beta1 = 1e-4, betaT = 0.02) => tables(whole(0, T - 1).map((i) => beta1 + i / (T - 1) * (betaT - beta1)));

  function cosine(T, s = 0.008) {
    const f = whole(0, T).map((t) => Math.cos((t / T + s) / (1 + s) * Math.PI / 2) ** 2);
    return tables(whole(1, T).map((t) => Math.min(1 - f[t] / f[t - 1], 0.999)));
  }

  // With more signal than this in x_T, a sampler must not begin with standard normal noise.
  const MOST_SNR_AT_END = 1e-3;
  const endsInNoise = ({ T, snr }) => snr[T] <= MOST_SNR_AT_END;

  // Draws of a standard normal, the same ones for the same seed (mulberry32; Box and Muller, of whose two draws one is kept).
  function normals(seed) {
    let state = seed;
    function uniform() {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    }
    return (n) => Float64Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  // The sines of the time, then its cosines.
  function embed(t, size) {
    const angles = whole(0, size / 2 - 1).map((i) => t * 10000 ** (-2 * i / size));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  }

  // The times that a sampler of so many steps goes through, from where it begins down to 0.
  const times = (from, steps) => whole(0, steps).map((i) => Math.floor(from * (steps - i) / steps));

  // A step of DDIM from t to the earlier s: the guess at x_0, kept within -clip and clip, and x_s.
  function step({ alphaBar }, { xt, t, s, eta, epsHat, noise, clip }) {
    const [now, before] = [alphaBar[t], alphaBar[s]];
    const sigma = eta * Math.sqrt((1 - before) / (1 - now) * (1 - now / before));
    const kept = Math.sqrt(Math.max(0, 1 - before - sigma * sigma));
    const [signal, noisy] = [Math.sqrt(now), Math.sqrt(1 - now)];
    const x0 = xt.map((x, i) => Math.min(clip, Math.max(-clip, (x - noisy * epsHat[i]) / signal)));
    const xs = xt.map((x, i) => Math.sqrt(before) * x0[i] + kept * (x - signal * x0[i]) / noisy + sigma * noise[i]);
    return { x0, xs };
  }

  window.genmodelsLive.dif = { linear, cosine, endsInNoise, MOST_SNR_AT_END, normals, embed, times, step };
})();
