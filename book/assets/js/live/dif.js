// What the figures of diffusion share: noise schedules. Tables are indexed by t, from 0 to T; entry 0 is the data.
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

  window.genmodelsLive.dif = { linear, cosine, endsInNoise, MOST_SNR_AT_END };
})();
