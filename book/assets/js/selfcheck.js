// Self-checks: says whether an answer is right and why, and remembers which questions were answered. What it remembers
// stays in this browser. Without this script, and in print, a question stands there with its answer in a fold.
(function () {
  "use strict";

  const KEY = "genmodels-checks";
  let answered = {}; // by the names of the questions
  let kept = true; // whether the browser keeps anything for these pages: it may refuse, above all to files

  function recall() {
    let text = null;
    try {
      text = localStorage.getItem(KEY);
    } catch {
      kept = false;
    }
    try {
      answered = { ...answered, ...JSON.parse(text) };
    } catch {
      // Something else has written there. What is answered from now on replaces it.
    }
  }

  function remember(name) {
    recall(); // another tab may have added something
    answered[name] = 1;
    try {
      localStorage.setItem(KEY, JSON.stringify(answered));
    } catch {
      kept = false;
    }
    show();
  }

  function forget() {
    answered = {};
    try {
      localStorage.removeItem(KEY);
    } catch {
      kept = false;
    }
    show();
  }

  const right = (names) => names.filter((name) => answered[name]).length;
  const notKept = "This browser keeps nothing for these pages: the count begins anew on each.";

  // Everything on the page that says what is answered.
  function show() {
    const checks = [...document.querySelectorAll("[data-check]")];
    for (const check of checks) check.querySelector(".gm-check-done").hidden = !answered[check.dataset.check];
    const count = document.querySelector(".gm-check-count > span");
    if (count) {
      const names = checks.map((check) => check.dataset.check);
      const said = names.length === 1 ? "question" : "questions";
      count.textContent = `${right(names)} of ${names.length} ${said} on this page answered right.${kept ? "" : ` ${notKept}`}`;
    }
    for (const line of document.querySelectorAll("[data-checks]")) {
      const names = line.dataset.checks.split(" ");
      const number = line.querySelector(".gm-check-share");
      number.textContent = `${right(names)} of ${names.length}`;
      number.toggleAttribute("data-all", right(names) === names.length);
    }
  }

  // ------------------------------------------------------------------ verdicts

  function paragraph(...parts) {
    const element = document.createElement("p");
    element.append(...parts);
    return element;
  }

  // The reasons that the answer's fold gives for one option, number or cell.
  function reasons(check, of, withKey = false) {
    const why = [...check.querySelectorAll(".gm-check-why")].find((each) => each.dataset.of === String(of));
    if (!why) return [];
    const copy = why.cloneNode(true);
    for (const element of copy.querySelectorAll("[id]")) element.removeAttribute("id");
    if (!withKey) for (const key of copy.querySelectorAll(".gm-check-key")) key.remove();
    return [...copy.children];
  }

  function say(check, state, text, ...rest) {
    const box = check.querySelector(".gm-check-verdict");
    box.dataset.state = state;
    const said = paragraph(text);
    said.className = "gm-check-said";
    if (state === "right") {
      const mark = document.createElement("span");
      mark.setAttribute("aria-hidden", "true");
      mark.textContent = "✓ ";
      said.prepend(mark);
      remember(check.dataset.check);
    }
    box.replaceChildren(said, ...rest);
  }

  function silence(check) {
    const box = check.querySelector(".gm-check-verdict");
    delete box.dataset.state;
    box.replaceChildren();
  }

  // ------------------------------------------------------------------ numbers

  // What a text may mean: numbers, one or two since 1,153 is read in two ways; or a problem.
  function readNumber(text, unit) {
    let plain = text.trim().replace(/[−–]/g, "-").replace(/\s/g, "");
    const end = unit.replace(/\s/g, "");
    if (end && plain.endsWith(end)) plain = plain.slice(0, -end.length);
    if (!plain) return { problem: "Type a number first." };
    const digits = String.raw`[-+]?(?:\d+(?:[.,]\d*)?|\d{1,3}(?:,\d{3})+(?:\.\d*)?|[.,]\d+)`;
    const number = `(${digits}(?:e[-+]?\\d+)?)`;
    const found =
      plain.match(new RegExp(`^${number}(?:/${number})?(%)?$`, "i")) ||
      plain.match(new RegExp(`^(?:(${digits})[*·×])?10\\^\\(?([-+]?\\d+)\\)?$`));
    const problem = `“${text.trim()}” is no number that I can read. Write for example 0.5, 0,5, 1/2, −3 or 1e-3.`;
    if (!found) return { problem };
    const power = plain.includes("^");
    const value = (comma) => {
      const read = (part) => Number(part.replace(/,/g, comma));
      if (power) return read(found[1] || "1") * 10 ** Number(found[2]);
      return read(found[1]) / (found[2] === undefined ? 1 : read(found[2])) / (found[3] ? 100 : 1);
    };
    const values = [value("."), value("")].filter(Number.isFinite);
    return values.length ? { values } : { problem };
  }

  // ------------------------------------------------------------------ the kinds: what happens when Check is pressed

  const kinds = {
    choice(check) {
      const chosen = check.querySelector("input:checked");
      if (!chosen) return say(check, "", "Choose an option first.");
      if (chosen.value === check.dataset.right) say(check, "right", "Right.", ...reasons(check, chosen.value));
      else say(check, "wrong", "Not so.", ...reasons(check, chosen.value));
    },

    number(check) {
      const { answer, tolerance, unit } = check.dataset;
      const input = check.querySelector("input");
      const { values, problem } = readNumber(input.value, unit);
      input.toggleAttribute("aria-invalid", Boolean(problem));
      if (problem) return say(check, "", problem);
      // A little more than the tolerance, so that its two ends count in binary fractions too.
      const near = (target) => values.some((value) => Math.abs(value - target) <= tolerance * (1 + 1e-9));
      if (near(answer)) return say(check, "right", "Right.", ...reasons(check, "because"));
      const read = `You gave ${String(values[0]).replace("-", "−")}.`;
      // A mistake is known by half a per cent, however exact the answer should be.
      const mistake = [...check.querySelectorAll(".gm-check-why")].find(
        ({ dataset: { of } }) => near(of) || values.some((value) => Math.abs(value - of) <= 0.005 * Math.abs(of)),
      );
      if (mistake) return say(check, "wrong", `Not so. ${read}`, ...reasons(check, mistake.dataset.of));
      const off = Math.min(...values.map((value) => Math.abs(value - answer)));
      let hint = "Try again, or unfold the answer.";
      if (near(-answer)) hint = "The size is right, the sign is not.";
      else if (off <= 0.05 * Math.abs(answer)) hint = `That is close. It should be exact to within ${Number(tolerance)}.`;
      say(check, "wrong", `Not so. ${read}`, paragraph(hint));
    },

    order(check) {
      const pieces = [...check.querySelectorAll(".gm-check-piece")];
      const placed = new Set();
      for (const [index, { dataset }] of pieces.entries()) {
        const missing = dataset.after.split(" ").filter((number) => number && !placed.has(number));
        if (missing.length) {
          const fine = index === 0 ? "The first line" : `The order holds down to line ${index}. Line ${index + 1}`;
          return say(check, "wrong", "Not yet.", paragraph(`${fine}, ${dataset.letter}, needs something that stands below it.`));
        }
        placed.add(dataset.piece);
      }
      say(check, "right", "Right.", ...reasons(check, "because"));
    },

    table(check) {
      const cells = [...check.querySelectorAll("[data-cell]")];
      const wrong = [];
      let empty = 0;
      for (const cell of cells) {
        const select = cell.querySelector("select");
        const state = !select.value ? "" : select.value === cell.dataset.right ? "right" : "wrong";
        mark(cell, state);
        if (state === "wrong") wrong.push(cell);
        else if (!state) empty += 1;
      }
      const good = cells.length - wrong.length - empty;
      if (good === cells.length) {
        check.querySelector(".gm-check-answer").open = true;
        return say(check, "right", `All ${good} are right.`, paragraph("The reasons are below."));
      }
      const left = empty ? ` ${empty} ${empty === 1 ? "is" : "are"} still empty.` : "";
      const explained = wrong.flatMap((cell) => {
        const [first, ...others] = reasons(check, cell.dataset.cell, true);
        const row = document.createElement("span");
        row.textContent = `${cell.parentElement.querySelector("th").textContent}. `;
        first.prepend(row);
        return [first, ...others];
      });
      say(check, wrong.length ? "wrong" : "", `${good} of ${cells.length} right.${left}`, ...explained);
    },
  };

  function mark(cell, state) {
    if (state) cell.dataset.state = state;
    else delete cell.dataset.state;
    const select = cell.querySelector("select");
    if (state === "wrong") select.setAttribute("aria-invalid", "true");
    else select.removeAttribute("aria-invalid");
  }

  // ------------------------------------------------------------------ moving the pieces of an order

  function movable(check) {
    const list = check.querySelector(".gm-check-pieces");
    const status = document.createElement("span");
    status.className = "gm-hidden";
    status.setAttribute("role", "status");
    list.after(status);

    // The neighbour is moved, not the piece: an element that is moved drops its focus and the finger that holds it.
    function move(piece, by) {
      const neighbour = by < 0 ? piece.previousElementSibling : piece.nextElementSibling;
      if (!neighbour) return;
      if (by < 0) piece.after(neighbour);
      else piece.before(neighbour);
      silence(check);
      const line = [...list.children].indexOf(piece) + 1;
      status.textContent = `${piece.dataset.letter} is now line ${line} of ${list.children.length}.`;
    }

    list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-move]");
      if (button) move(button.closest(".gm-check-piece"), Number(button.dataset.move));
    });

    list.addEventListener("pointerdown", (event) => {
      const grip = event.target.closest(".gm-check-grip");
      if (!grip || event.button > 0) return;
      const piece = grip.closest(".gm-check-piece");
      let start = event.clientY;
      event.preventDefault();
      piece.classList.add("gm-check-lifted");

      function follow({ clientY }) {
        // Past the middle of a neighbour the two change places, and the piece stays under the finger.
        const neighbour = clientY < start ? piece.previousElementSibling : piece.nextElementSibling;
        const box = neighbour && neighbour.getBoundingClientRect();
        const middle = box && box.top + box.height / 2;
        if (box && (clientY < start ? clientY < middle : clientY > middle)) {
          const before = piece.offsetTop;
          move(piece, clientY < start ? -1 : 1);
          start += piece.offsetTop - before;
        }
        piece.style.top = `${clientY - start}px`;
      }
      // The window hears the pointer wherever it goes.
      function drop() {
        piece.classList.remove("gm-check-lifted");
        piece.style.top = "";
        window.removeEventListener("pointermove", follow);
        window.removeEventListener("pointerup", drop);
        window.removeEventListener("pointercancel", drop);
      }
      window.addEventListener("pointermove", follow);
      window.addEventListener("pointerup", drop);
      window.addEventListener("pointercancel", drop);
    });
  }

  // ------------------------------------------------------------------ the page

  function enliven(check) {
    check.addEventListener("submit", (event) => {
      event.preventDefault();
      kinds[check.dataset.kind](check);
    });
    // Another answer has not been judged yet.
    check.addEventListener("input", (event) => {
      silence(check);
      const cell = event.target.closest("[data-cell]");
      if (cell) mark(cell, "");
    });
    if (check.dataset.kind === "order") movable(check);
  }

  function clearable(overview) {
    const button = overview.querySelector("[data-clear]");
    const status = overview.querySelector(".gm-check-kept");
    let sure = false;
    const calm = () => {
      sure = false;
      button.textContent = "Clear my answers";
    };
    if (!kept) status.textContent = notKept;
    button.addEventListener("click", () => {
      if (!sure) {
        sure = true;
        button.textContent = "Clear them all: press again";
        return;
      }
      forget();
      calm();
      status.textContent = "Your answers are cleared.";
    });
    button.addEventListener("blur", calm);
  }

  document.addEventListener("DOMContentLoaded", () => {
    recall();
    show();
    document.querySelectorAll("[data-check]").forEach(enliven);
    document.querySelectorAll(".gm-check-overview").forEach(clearable);
    window.addEventListener("storage", (event) => {
      if (event.key === KEY || event.key === null) {
        answered = {};
        recall();
        show();
      }
    });
  });
})();
