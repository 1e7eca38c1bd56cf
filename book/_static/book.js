/* What depends on where and how a page is read. */

/* A page opened from a folder may not read its neighbors: the search then lists titles without a summary. */
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

/* Ink is dark and paper is light, whatever the screen shows. */
let shownTheme;
addEventListener("beforeprint", () => {
  shownTheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => { document.documentElement.dataset.theme = shownTheme; });

/* A table, a chart, a formula or code that is wider than its box says that it scrolls; a phone shows no scroll bar. */
const boxes = [".pst-scrollable-table-container", ".cell_output > .text_html", "a.image-reference:has(> img.wide)",
  ".highlight > pre", "div.math mjx-container"].join(", ");

function tellWhatScrolls() {
  for (const box of document.querySelectorAll(`.bd-article :is(${boxes})`)) {
    const around = box.closest(".highlight, div.math") || box, said = around.previousElementSibling?.matches(".scrolls-hint");
    const wide = box.checkVisibility() && box.scrollWidth > box.clientWidth + 1;
    if (wide && !said) {
      const hint = Object.assign(document.createElement("p"), { className: "scrolls-hint", textContent: "scrolls sideways →" });
      hint.setAttribute("aria-hidden", "true");
      around.before(hint);
    }
    if (!wide && said) around.previousElementSibling.remove();
  }
}

addEventListener("load", async () => {
  tellWhatScrolls();
  await window.MathJax?.startup?.promise;  // formulas are set a moment later
  tellWhatScrolls();
});
addEventListener("resize", tellWhatScrolls);
document.addEventListener("toggle", tellWhatScrolls, true);
