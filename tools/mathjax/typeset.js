// Set formulas in type: from stdin JSON, [[[TeX, display?], ...], address of the fonts]; to stdout {html: [...], css}. Called by
// tools/typeset.py. A formula that MathJax cannot set ends it with a line that quotes the formula. Elements that may be a
// symbol say in `data-names` which, for book/_ext/symbols.py to look up: see `names`.
"use strict";
const fs = require("fs");
const path = require("path");

const [formulas, fontURL] = JSON.parse(fs.readFileSync(0, "utf8"));
const extensions = ["ams", "newcommand", "boldsymbol", "html", "color", "cancel", "bbox", "braket", "centernot", "enclose",
  "mathtools", "textmacros"];

// ---------------------------------------------------------------- what may be a symbol

const SCRIPTS = ["msub", "msup", "msubsup"];
const ACCENTS = ["mover", "munder"];
// One element, or one step of a process, among many alike: x_t, x_{t-1}, x_{300}.
const INDEX = /^[0-9tsijklndmTKLN+−]+$/;
// A power of a symbol is about the symbol.
const POWER = /^(?:−?[0-9]+|⊤|[0-9]*\/[0-9]+)$/;

const childrenOf = node => (node.childNodes || []).filter(child => child);
const fence = node => (["mo", "TeXAtom", "mrow"].includes(node.kind) ? text(node) : "");

/** What a node says, in one line: x, x_t, x^2, over(α,¯), 𝔼 as double-struck:E. */
function text(node) {
  if (node.isKind("text")) return node.getText();
  if (node.isKind("mspace") || node.isKind("XML")) return "";
  const parts = childrenOf(node).map(text);
  if (node.isToken) {
    const said = parts.join("").replace(/\|/g, "∣").replace(/[\s\u2061\u2062]/g, "");
    const variant = node.attributes.get("mathvariant");
    const plain = !node.isKind("mi") || said === "" || ["normal", "italic"].includes(variant);
    return plain ? said : `${variant.replace(/^-tex-/, "")}:${said}`;
  }
  if (node.isKind("msub")) return `${parts[0]}_${parts[1]}`;
  if (node.isKind("msup")) return `${parts[0]}^${parts[1]}`;
  if (node.isKind("msubsup")) return `${parts[0]}_${parts[1]}^${parts[2]}`;
  if (ACCENTS.includes(node.kind)) return `over(${parts[0]},${parts[1]})`;
  if (node.isKind("mfrac")) return `${parts[0]}/${parts[1]}`;
  return parts.join("");
}

/** The names under which a node may stand in the table, the narrowest first; "#" stands for any index. */
function names(node, args) {
  let heads = [];
  if (SCRIPTS.includes(node.kind)) {
    const [base, ...scripts] = childrenOf(node).map(text);
    const below = node.isKind("msup") ? "" : scripts[0];
    const above = node.isKind("msub") ? "" : scripts[scripts.length - 1];
    const lower = below === "" ? [""] : INDEX.test(below) ? [`_${below}`, "_#"] : [`_${below}`];
    if (above !== "") heads = lower.map(script => `${base}${script}^${above}`);
    if (below !== "" && (above === "" || POWER.test(above))) heads.push(...lower.map(script => base + script));
  } else {
    heads = [text(node)];
  }
  return heads.flatMap(head => (args === null ? [head] : [`${head}(${args})`, `${head}(⋅)`, head]));
}

/** What stands in brackets after the child at `index`, or null. */
function argumentsAfter(children, index) {
  const rest = children.slice(index + 1).filter(child => text(child) !== "");
  if (rest.length === 0) return null;
  const first = childrenOf(rest[0]);
  if (rest[0].isKind("mrow") && first.length > 1 && fence(first[0]) === "(") return first.slice(1, -1).map(text).join("");
  if (fence(rest[0]) !== "(") return null;
  let depth = 0;
  for (let end = 0; end < rest.length; end++) {
    const said = fence(rest[end]);
    depth += said === "(" ? 1 : said === ")" ? -1 : 0;
    if (depth === 0) return rest.slice(1, end).map(text).join("");
  }
  return null;
}

/** Write the names of each node that may be a symbol into its `data-names`. */
function note(node, args = null) {
  const children = childrenOf(node);
  const letter = node.isKind("mi") && text(node) !== "";
  if (letter || SCRIPTS.includes(node.kind) || ACCENTS.includes(node.kind)) {
    node.attributes.set("data-names", names(node, args).join("|").replace(/[&<>]/g, sign => `&#${sign.charCodeAt(0)};`));
  }
  if (node.isToken) return;
  if (SCRIPTS.includes(node.kind)) {
    // The letter alone is meant when the script is a power, and when it says over what an average is.
    const base = text(children[0]);
    const free = node.isKind("msup") ? POWER.test(text(children[1])) : /^double-struck:.$/.test(base);
    if (free) note(children[0], args);
    children.slice(1).forEach(child => note(child));
  } else if (ACCENTS.includes(node.kind)) {
    // Under max and the sum stand symbols; under an accent, a part of one.
    if (text(children[0]).length > 1 || children[0].isKind("mo")) children.forEach(child => note(child));
  } else if (children.length === 1) {
    note(children[0], args);
  } else {
    children.forEach((child, index) => note(child, argumentsAfter(children, index)));
  }
}

// ---------------------------------------------------------------- setting

/** How many of its own ems the formula that was set last is wide: the style sheet sets it smaller where there is less room. */
const width = ({ output, document }) => output.getBBox(output.math, document).w.toFixed(2);

// Without noerrors and noundefined, which would set a wrong formula in red and go on.
require("./es5/node-main.js").init({
  loader: {
    versionWarnings: false,
    paths: { mathjax: path.join(__dirname, "es5") },
    load: ["adaptors/liteDOM", "input/tex-base", ...extensions.map(name => `[tex]/${name}`), "output/chtml"],
  },
  tex: { packages: ["base", ...extensions], formatError: (jax, error) => { throw error; } },
  chtml: { fontURL, adaptiveCSS: false },
  // After the TeX is read, for what is drawn alone: MathML comes out of an earlier state.
  options: { renderActions: { note: [105, () => {}, math => note(math.root)] } },
  startup: { typeset: false },
}).then(MathJax => {
  const adaptor = MathJax.startup.adaptor;
  const html = formulas.map(([tex, display]) => {
    try {
      const box = MathJax.tex2chtml(tex, { display });
      // What is drawn is silent; beside it, out of sight, stands the formula for those who listen.
      adaptor.setAttribute(adaptor.firstChild(box), "aria-hidden", "true");
      adaptor.setStyle(box, "position", "relative");
      if (display) adaptor.setStyle(box, "--gm-ems", width(MathJax.startup));
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
