/**
 * Who the viewer is: a token for this tab, or whatever the browser and its server agree on.
 */

const KEY = "clusterip-token";

let token = "";

/** Take a token from the URL that `clusterip ui` printed, and from the URL take it away. */
export function begin() {
  const match = /^#key=([\w-]+)$/.exec(location.hash);
  if (match) {
    keep(match[1]);
    history.replaceState(null, "", location.pathname + "#/services");
  }
  token = sessionStorage.getItem(KEY) ?? "";
}

/** @returns {string} the bearer token, empty if there is none */
export function bearer() {
  return token;
}

/** @param {string} text */
export function keep(text) {
  token = text.trim();
  sessionStorage.setItem(KEY, token);
}

export function forget() {
  token = "";
  sessionStorage.removeItem(KEY);
}
