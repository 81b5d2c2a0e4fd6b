/**
 * A state as a mark and a word; the mark has a shape of its own, for who does not see its colour.
 */

import { h, say } from "../dom.js";

/** @param {string} level good, part, bad or none @param {string} text */
export function state(level, text) {
  return h("span", { class: `state ${level}` }, text);
}

/**
 * Show a state in a cell that may have another.
 * @param {HTMLElement} cell
 * @param {string} level
 * @param {string} text
 */
export function showState(cell, level, text) {
  const mark = cell.firstElementChild;
  if (!mark) cell.append(state(level, text));
  else {
    const name = `state ${level}`;
    if (mark.className !== name) mark.className = name;
    say(mark, text);
  }
}
