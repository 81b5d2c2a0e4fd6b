/**
 * Light, dark, or as the system has it. The first module, so that no page is shown in the wrong one.
 */

const KEY = "clusterip-theme";
const ORDER = ["system", "light", "dark"];

/** @returns {string} `system`, `light` or `dark` */
export function theme() {
  const kept = localStorage.getItem(KEY) ?? "";
  return ORDER.includes(kept) ? kept : "system";
}

/** Go on to the next one. @returns {string} which that is */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  localStorage.setItem(KEY, next);
  apply(next);
  return next;
}

/** @param {string} name */
function apply(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

apply(theme());
