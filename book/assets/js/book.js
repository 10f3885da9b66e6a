// Mendings of the theme, on every page.
(function () {
  "use strict";

  // On narrow screens sphinx-book-theme 1.3 and 1.4 (its issue 988) show menu buttons in the article's header, while
  // pydata-sphinx-theme listens only to the first buttons of the page, which lie in a header that is not shown: both
  // menus are dead. Pass the clicks on.
  function forward(selector, label) {
    const [first, ...others] = document.querySelectorAll(selector);
    if (!first) return;
    for (const other of others) {
      other.setAttribute("aria-label", label);
      other.addEventListener("click", (event) => {
        event.preventDefault();
        event.stopPropagation();
        first.click();
      });
    }
  }

  // A link to a place on the same page must close the menu that it stands in.
  function closeOnJump(dialog) {
    dialog.addEventListener("click", (event) => {
      const link = event.target.closest("a[href*='#']");
      if (link && link.pathname === location.pathname) dialog.close();
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    forward(".primary-toggle", "Chapters");
    forward(".secondary-toggle", "On this page");
    document.querySelectorAll("dialog[id$='-sidebar-modal']").forEach(closeOnJump);
  });
})();
