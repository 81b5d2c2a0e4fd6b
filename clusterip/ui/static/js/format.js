/**
 * Numbers, times and sizes as people read them.
 */

/** @param {number} value per second */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 10) return value.toFixed(1);
  return Math.round(value).toLocaleString("en");
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/** @param {number} value */
export function bytes(value) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000 || unit === "GB") {
      return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    }
    value /= 1000;
  }
  return "";
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  return `${seconds.toFixed(1)} s`;
}

/** How long ago. @param {number} seconds */
export function age(seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** @param {string} time RFC 3339 */
export function since(time) {
  return (Date.now() - Date.parse(time)) / 1000;
}

/** @param {string} text with a unit @param {number} amount */
export function plural(amount, text) {
  return `${count(amount)} ${text}${amount === 1 ? "" : "s"}`;
}

/** Text that has no room for more. @param {string} text @param {number} length of characters */
export function cut(text, length) {
  const room = Math.max(4, Math.floor(length));
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}
