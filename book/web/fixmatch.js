// After a press the theme and the copy buttons let the focus fall to the page, and tell what happened by sight alone.
addEventListener("DOMContentLoaded", () => {
  const told = document.createElement("div");
  told.className = "visually-hidden";
  told.role = "status";
  document.body.append(told);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".copybtn, .theme-switch-button");
    if (!button) return;
    button.focus();
    told.textContent = button.matches(".copybtn") ? "Copied" : `Color mode: ${document.documentElement.dataset.mode}`;
    setTimeout(() => (told.textContent = ""), 2500);
  });
  document.getElementById("pst-search-dialog")?.setAttribute("aria-label", "Search");
});
