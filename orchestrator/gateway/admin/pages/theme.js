// Sets the theme before anything is painted: light, dark, or the system's when nothing was chosen.
(() => {
  try {
    const chosen = localStorage.getItem("rootward-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* Storage may be forbidden: then the system's theme it is. */ }
})();
