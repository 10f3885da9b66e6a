// Cards: what a symbol in a formula is (book/_ext/symbols.py has marked it), and the equation that a reference is to.
// A mouse opens one by resting on the symbol or the reference, a finger by tapping the symbol (a tapped reference is
// followed, as any link). With the keyboard, a reference shows its equation while it has the focus, and behind each
// displayed formula a button, seen when it has the focus, lists the symbols. Escape closes.
(function () {
  "use strict";

  const here = document.currentScript.src;
  const OPEN = 250; // ms that a mouse rests before a card opens
  const CLOSE = 250; // ms for its way from the symbol to the card
  const REACH = 16; // px from a finger to a symbol
  const GAP = 5; // px between a card and what it is about
  const HEADER = 64; // px that the page's header covers
  const REFERENCE = ".bd-article a.reference[href*='#equation-']";
  const SYMBOL = ".bd-article mjx-container [data-s]";

  // ---------------------------------------------------------------- what the cards say

  const loading = {};
  function load(name) {
    loading[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script"); // from a disk nothing can be fetched, but scripts run
      script.src = new URL(`${name}.js`, here);
      script.onload = () => resolve(window.gmCards[name]);
      script.onerror = reject;
      document.head.append(script);
    });
    return loading[name];
  }

  const make = (tag, className, html) => {
    const element = document.createElement(tag);
    element.className = className;
    element.innerHTML = html;
    return element;
  };

  async function explain(place) {
    if (place.matches(REFERENCE)) {
      const found = (await load("equations"))[decodeURIComponent(place.hash).slice("#equation-".length)];
      if (!found) return null;
      const [number, title, formula] = found;
      return [make("p", "gm-card-head", `Equation ${number}, in “${title}”`), make("div", "gm-card-equation", formula)];
    }
    const found = (await load("symbols"))[place.dataset.s];
    if (!found) return null;
    const [symbols, code, shape, meaning] = found;
    const aside = [code && `in code ${code}`, shape && `shape ${shape}`].filter(Boolean).join(", ");
    return [
      make("p", "gm-card-meaning", `<span class="gm-card-symbol">${symbols}</span> ${meaning}`),
      ...(aside ? [make("p", "gm-card-head", aside)] : []),
    ];
  }

  // ---------------------------------------------------------------- the card by a symbol or a reference

  let card = null; // {place, element}
  let awaited = null; // the place whose card is to come
  let timer = 0;

  function close() {
    clearTimeout(timer);
    awaited = null;
    card?.element.remove();
    card = null;
  }

  async function open(place) {
    clearTimeout(timer);
    if (card?.place === place) return;
    close();
    awaited = place;
    const content = await explain(place);
    if (awaited !== place || !content) return;
    const element = make("div", "gm-card", "");
    element.setAttribute("role", "tooltip");
    element.append(...content);
    // Within the page's main part, beside what is no part of a flow of text.
    document.querySelector("article.bd-article").append(element);
    card = { place, element };
    put(element, place);
  }

  // Below the line of the formula if there is room, otherwise above it, and within the column of the text; a formula
  // too wide for it is set smaller.
  function put(element, place) {
    const formula = element.querySelector(".gm-card-equation");
    if (formula && formula.scrollWidth > formula.clientWidth) {
      formula.style.fontSize = `${Math.max(0.5, (formula.clientWidth / formula.scrollWidth) * 0.98)}em`;
    }
    const at = place.getClientRects()[0] ?? place.getBoundingClientRect();
    const line = (place.closest("mjx-mtr") ?? place.closest("mjx-container") ?? place).getBoundingClientRect();
    const [top, bottom] = line.height < 150 && place.matches(SYMBOL) ? [line.top, line.bottom] : [at.top, at.bottom];
    const own = element.getBoundingClientRect();
    const column = element.parentElement.getBoundingClientRect();
    const [from, to] = [Math.max(8, column.left), Math.min(document.documentElement.clientWidth - 8, column.right)];
    const left = Math.max(from, Math.min(at.left + at.width / 2 - own.width / 2, to - own.width));
    const below = bottom + GAP + own.height <= window.innerHeight || top - GAP - own.height < HEADER;
    const origin = element.offsetParent.getBoundingClientRect();
    element.style.left = `${left - origin.left}px`;
    element.style.top = `${(below ? bottom + GAP : top - GAP - own.height) - origin.top}px`;
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    clearTimeout(timer);
    if (event.target.closest(".gm-card")) return;
    const place = event.target.closest(`${SYMBOL}, ${REFERENCE}`);
    if (place && place !== card?.place) timer = setTimeout(open, OPEN, place);
    else if (!place) {
      awaited = null;
      if (card && card.place !== document.activeElement) timer = setTimeout(close, CLOSE);
    }
  });
  document.documentElement.addEventListener("pointerleave", () => clearTimeout(timer));

  document.addEventListener("focusin", (event) => {
    if (event.target.matches(REFERENCE) && event.target.matches(":focus-visible")) open(event.target);
  });
  document.addEventListener("focusout", (event) => {
    if (card?.place === event.target || awaited === event.target) close();
  });

  // A tap: on the nearest symbol of the formula, since letters are small.
  let finger = false;
  document.addEventListener("pointerdown", (event) => (finger = event.pointerType === "touch"));
  document.addEventListener("click", (event) => {
    if (event.target.closest(".gm-card")) return;
    const formula = event.target.closest(".bd-article mjx-container");
    if (!finger || !formula || formula.closest("a, button, summary, label")) return void (finger && close());
    const gap = (element) => {
      const box = element.getBoundingClientRect();
      return Math.hypot(
        Math.max(box.left - event.clientX, 0, event.clientX - box.right),
        Math.max(box.top - event.clientY, 0, event.clientY - box.bottom),
      );
    };
    const [nearest] = [...formula.querySelectorAll("[data-s]")]
      .map((element) => [gap(element), element])
      .filter(([distance]) => distance <= REACH)
      .sort((one, other) => one[0] - other[0]);
    if (nearest) open(nearest[1]);
    else close();
  });

  // ---------------------------------------------------------------- the list behind a displayed formula

  function addButton(box) {
    const ids = [...new Set([...box.querySelectorAll("[data-s]")].map((symbol) => symbol.dataset.s))];
    if (!ids.length) return;
    const button = make("button", "gm-button gm-symbols", "Symbols in this formula");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    let list = null;
    const hide = () => {
      list?.remove();
      list = null;
      button.setAttribute("aria-expanded", "false");
    };
    button.addEventListener("click", async () => {
      if (list) return hide();
      const symbols = await load("symbols");
      list = make("dl", "gm-card gm-card-list", "");
      for (const [letters, , , meaning] of ids.map((id) => symbols[id]).filter(Boolean)) {
        list.append(make("dt", "", letters), make("dd", "", meaning));
      }
      button.after(list);
      button.setAttribute("aria-expanded", "true");
    });
    button.addEventListener("blur", hide);
    button.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    box.after(button);
  }

  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".bd-article div.math").forEach(addButton);
  });
})();
