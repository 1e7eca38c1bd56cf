/* What depends on where and how a page is read. */

/* A page opened from a folder may not read its neighbours: the search then lists titles without a summary. */
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

/* Ink is dark and paper is light, whatever the screen shows. */
let shownTheme;
addEventListener("beforeprint", () => {
  shownTheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => { document.documentElement.dataset.theme = shownTheme; });
