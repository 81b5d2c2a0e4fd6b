/**
 * A dialog over the page. When it closes it is gone, and the focus is where it was before.
 */

import { h } from "../dom.js";

/**
 * @param {{label: string, kind?: string}} options the `id` of what names it; a class
 * @param {HTMLElement} form of `method="dialog"`: its buttons close the dialog
 * @returns {HTMLDialogElement} open already
 */
export function openDialog({ label, kind }, form) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", {
    class: kind, "aria-labelledby": label,
    onclose: () => {
      dialog.remove();
      before?.focus();
    },
  }, form));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
