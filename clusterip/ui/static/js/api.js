/**
 * The Kubernetes API: requests and watches, as the viewer.
 */

import { bearer } from "./session.js";

/** What the server refused, or that it cannot be reached (`code` 0). */
export class ApiError extends Error {
  /**
   * @param {number} code
   * @param {any} status a Status, or what there is of one
   */
  constructor(code, status) {
    super(status.message || `the server answered ${code}`);
    this.code = code;
    /** @type {string} */
    this.reason = status.reason ?? "";
    /** @type {{field?: string, message?: string}[]} */
    this.causes = status.details?.causes ?? [];
  }
}

/**
 * One request. The answer is decoded if it is JSON, else text.
 * @param {string} path with its query
 * @param {{method?: string, body?: any, type?: string, accept?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function request(path, options = {}) {
  return (await ask(path, options)).data;
}

/**
 * The same with the warnings that came with the answer.
 * @param {string} path
 * @param {{method?: string, body?: any, type?: string, accept?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{data: any, warnings: string[]}>}
 */
export async function ask(path, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: options.accept ?? "application/json" };
  const token = bearer();
  if (token) headers.Authorization = `Bearer ${token}`;
  let body = options.body;
  if (body !== undefined) {
    headers["Content-Type"] = options.type ?? "application/json";
    if (typeof body !== "string") body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, { method: options.method ?? "GET", headers, body, signal: options.signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { message: "The server cannot be reached." });
  }
  const text = await response.text();
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  const data = isJson && text ? parse(text) : text;
  if (!response.ok) throw new ApiError(response.status, isJson ? data : { message: text.slice(0, 500).trim() });
  return { data, warnings: warningsOf(response) };
}

/**
 * Watch. Each event goes to `told`; `ended` is called once, when no more will come.
 * A browser allows six connections to a server, but hundreds of WebSockets: hence these.
 * @param {string} path with its query
 * @param {(event: {type: string, object: any}) => void} told
 * @param {() => void} ended
 * @returns {() => void} to be called to end it
 */
export function watch(path, told, ended) {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const protocols = ["clusterip.ui"];
  if (bearer()) protocols.push(`base64url.bearer.authorization.k8s.io.${encode(bearer())}`);
  const socket = new WebSocket(url, protocols);
  let over = false;
  const end = () => {
    if (over) return;
    over = true;
    socket.close();
    ended();
  };
  socket.onmessage = (message) => {
    if (!over) told(JSON.parse(message.data));
  };
  socket.onclose = end;
  socket.onerror = end;
  return () => {
    over = true;
    socket.close();
  };
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {string} text @returns {string} base64url, without padding */
function encode(text) {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {Response} response */
function warningsOf(response) {
  const header = response.headers.get("Warning") ?? "";
  return [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((each) => each[1].replace(/\\(.)/g, "$1"));
}
