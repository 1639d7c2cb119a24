// Tabs that choose a view, as the ARIA authoring practices describe them.

/**
 * @param {HTMLElement} list with one button for each view, named in `data-view`
 * @param {(view: string, tab: HTMLElement) => void} onChoice
 * @returns {(view: string) => void} chooses a view
 */
export function tabs(list, onChoice) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const choose = (chosen) => {
    for (const tab of all) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    onChoice(chosen.dataset.view, chosen);
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const now = all.indexOf(document.activeElement);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tab = all[(next + all.length) % all.length];
    tab.focus();
    choose(tab);
  });
  return (view) => choose(all.find((tab) => tab.dataset.view === view));
}
