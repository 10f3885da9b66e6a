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

  // Paper cannot be unfolded: what is folded is printed open, and folded again afterwards.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".bd-article details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });

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
