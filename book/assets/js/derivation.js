// Derivations: reveal one move after another. Without this script every move is visible, and so it is in print.
(function () {
  "use strict";

  function button(text, press) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "gm-button";
    element.textContent = text;
    element.addEventListener("click", press);
    return element;
  }

  function enliven(derivation) {
    const list = derivation.querySelector(".gm-moves");
    const moves = list ? Array.from(list.children) : [];
    if (moves.length < 2) return;
    let shown = moves.length;

    const bar = document.createElement("div");
    bar.className = "gm-derivation-bar";
    const status = document.createElement("span");
    status.className = "gm-hidden";
    status.setAttribute("role", "status");
    const next = button("", () => {
      reveal(shown === moves.length ? 1 : shown + 1);
      const reason = moves[shown - 1].querySelector(".gm-move-reason");
      status.textContent = `Step ${shown} of ${moves.length}: ${reason.textContent}`;
    });
    const all = button("Show all", () => reveal(moves.length));
    bar.append(next, all, status);
    derivation.insertBefore(bar, list);
    reveal(moves.length);

    function reveal(count) {
      const focused = document.activeElement;
      shown = count;
      moves.forEach((move, index) => { move.hidden = index >= count; });
      const whole = shown === moves.length;
      next.textContent = whole ? "Reveal step by step" : `Next step (${shown + 1} of ${moves.length})`;
      all.hidden = whole;
      // While steps are hidden the buttons stand where the next one will appear. Moving an element drops its focus.
      const place = whole ? list : list.nextSibling;
      if (bar.nextSibling !== place) derivation.insertBefore(bar, place);
      if (focused === next) next.focus({ preventScroll: true });
      else if (focused === all) (whole ? next : all).focus({ preventScroll: true });
    }

    // A link to a step shows it, whatever was hidden.
    function follow() {
      const id = decodeURIComponent(location.hash.slice(1));
      const target = id && document.getElementById(id);
      const move = target && target.closest(".gm-move");
      if (move && move.hidden && derivation.contains(move)) {
        reveal(moves.length);
        move.scrollIntoView();
      }
    }
    window.addEventListener("hashchange", follow);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".gm-derivation").forEach(enliven);
  });
})();
