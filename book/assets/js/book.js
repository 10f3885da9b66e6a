// Mendings of the theme, on every page.
(function () {
  "use strict";

  // A link to a place on the same page closes the menu that it stands in (on narrow screens menus are dialogs).
  document.addEventListener("DOMContentLoaded", () => {
    for (const dialog of document.querySelectorAll("dialog[id$='-sidebar-modal']")) {
      dialog.addEventListener("click", (event) => {
        const link = event.target.closest("a[href*='#']");
        if (link && link.pathname === location.pathname) dialog.close();
      });
    }
  });

  // Paper is white and cannot be unfolded: what is folded is printed open, in the light theme, and all is put back
  // afterwards. A formula says how many of its own ems it is wide, and how much of its line stands beside it, so that the
  // style sheet can set it smaller where paper is narrower.
  let opened = [];
  let theme = null;
  function onPaper() {
    if (theme === null) theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    const folded = [...document.querySelectorAll(".bd-article details:not([open])")];
    for (const fold of folded) fold.open = true;
    opened.push(...folded);
    const formulas = [...document.querySelectorAll(".bd-article div.math > mjx-container[display]")].map((formula) => {
      const number = formula.parentElement.querySelector(":scope > .eqno");
      return {
        formula,
        ems: formula.firstElementChild.getBoundingClientRect().width / parseFloat(getComputedStyle(formula).fontSize),
        beside: number && getComputedStyle(number).float !== "none" ? 2 * number.offsetWidth : 0,
      };
    });
    for (const { formula, ems, beside } of formulas) {
      formula.style.setProperty("--gm-ems", ems.toFixed(2));
      formula.style.setProperty("--gm-beside", `${beside}px`);
    }
  }
  function onScreen() {
    for (const fold of opened) fold.open = false;
    opened = [];
    if (theme !== null) document.documentElement.dataset.theme = theme;
    theme = null;
  }
  window.addEventListener("beforeprint", onPaper);
  window.addEventListener("afterprint", onScreen);

  // A formula, a table or code that is wider than the screen scrolls in its own box: let a keyboard reach it there, and
  // stop at no formula that does not scroll.
  function reachable() {
    for (const box of document.querySelectorAll("div.math, div.math mjx-container, .bd-article :is(.highlight pre, table)")) {
      const scrolls = box.scrollWidth > box.clientWidth && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true); // what was folded had no width
})();
