// Tabs that choose a view, as the ARIA Authoring Practices describe them.

import { findAll } from "../elements.js";

/**
 * @param {HTMLElement} list with one button for each view, named in `data-view`
 * @param {(view: string, tab: HTMLElement) => void} onChoice
 * @returns {(view: string) => void} opens a view, if there is one of this name
 */
export function tabs(list, onChoice) {
  const all = findAll("[role=tab]", HTMLButtonElement, list);
  /** @param {HTMLButtonElement} chosen */
  const choose = (chosen) => {
    for (const tab of all) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    onChoice(chosen.dataset.view ?? "", chosen);
  };
  for (const tab of all) tab.addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const now = all.findIndex((tab) => tab === document.activeElement);
    /** @type {Record<string, number>} */
    const targets = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 };
    if (!(event.key in targets)) return;
    event.preventDefault();
    const tab = all[(targets[event.key] + all.length) % all.length];
    tab.focus();
    choose(tab);
  });
  return (view) => all.filter((tab) => tab.dataset.view === view).forEach(choose);
}
