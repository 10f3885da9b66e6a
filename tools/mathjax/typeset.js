// Set formulas in type: from stdin JSON, [[[TeX, display?], ...], address of the fonts]; to stdout {html: [...], css}. Called by
// tools/typeset.py. A formula that MathJax cannot set ends it with a line that quotes the formula.
"use strict";
const fs = require("fs");
const path = require("path");

const [formulas, fontURL] = JSON.parse(fs.readFileSync(0, "utf8"));
const extensions = ["ams", "newcommand", "boldsymbol", "html", "color", "cancel", "bbox", "braket", "centernot", "enclose",
  "mathtools", "textmacros"];

// Without noerrors and noundefined, which would set a wrong formula in red and go on.
require("./es5/node-main.js").init({
  loader: {
    versionWarnings: false,
    paths: { mathjax: path.join(__dirname, "es5") },
    load: ["adaptors/liteDOM", "input/tex-base", ...extensions.map(name => `[tex]/${name}`), "output/chtml"],
  },
  tex: { packages: ["base", ...extensions], formatError: (jax, error) => { throw error; } },
  chtml: { fontURL, adaptiveCSS: false },
  startup: { typeset: false },
}).then(MathJax => {
  const adaptor = MathJax.startup.adaptor;
  const html = formulas.map(([tex, display]) => {
    try {
      const box = MathJax.tex2chtml(tex, { display });
      // What is drawn is silent; beside it, out of sight, stands the formula for those who listen.
      adaptor.setAttribute(adaptor.firstChild(box), "aria-hidden", "true");
      adaptor.setStyle(box, "position", "relative");
      const math = MathJax.tex2mml(tex, { display }).replace(/>\s+</g, "><").replace(/ data-mjx-\w+="[^"]*"/g, "");
      return adaptor.outerHTML(box).replace(/<\/mjx-container>$/, `<mjx-assistive-mml>${math}</mjx-assistive-mml>$&`);
    } catch (error) {
      console.error(`TeX: ${error.message} in ${tex}`);
      process.exit(1);
    }
  });
  process.stdout.write(JSON.stringify({ html, css: adaptor.textContent(MathJax.chtmlStylesheet()) }));
}).catch(error => {
  console.error(error.stack || error);
  process.exit(1);
});
