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

  // A formula, a table or code that is wider than the screen scrolls in its own box: let a keyboard reach it there.
  function reachable() {
    for (const box of document.querySelectorAll("div.math, mjx-container, .bd-article .highlight pre, .bd-article table")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true); // what was folded had no width
})();
