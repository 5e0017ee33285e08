// What must be settled before anything is painted, the colour theme and a notice that was dismissed: a classic
// script, because a module would come too late and the page would jump.
(() => {
  const root = document.documentElement;
  const show = (choice) => {
    root.dataset.themeChoice = choice;
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
  };
  let choice = "system";
  try {
    choice = localStorage.getItem("theme") || "system";
    if (localStorage.getItem("dismissed:local-mode")) root.dataset.dismissed = "local-mode";
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  show(choice);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const order = ["system", "light", "dark"];
    const next = order[(order.indexOf(root.dataset.themeChoice) + 1) % order.length];
    show(next);
    try {
      localStorage.setItem("theme", next);
    } catch {
      // It holds for this page, then.
    }
  });
})();
