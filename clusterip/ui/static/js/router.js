/**
 * Where in the page the viewer is: the part of the URL after #.
 */

/** @returns {{parts: string[], query: URLSearchParams}} */
export function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** @param {string[]} parts */
export function link(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** @param {string[]} parts */
export function go(...parts) {
  location.hash = link(...parts);
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
