// Reads the live stream of an event with fetch, because EventSource cannot send the key, and opens it again when it breaks.

import { ApiError, request } from "./api.js";

/** The server sends a comment every 15 s. A stream that is silent for longer than this is dead. */
const SILENCE_MS = 40000;
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;

/**
 * @typedef {{
 *   opened: (resumed: boolean) => void,
 *   alive: () => void,
 *   event: (name: string, data: any) => void,
 *   closed: (error: unknown) => void,
 *   refused: (error: ApiError) => void,
 * }} Listener
 */

/**
 * Follows an event until the signal is aborted, or the server refuses it for good.
 * @param {string} event
 * @param {Listener} listener
 * @param {AbortSignal} signal
 */
export async function follow(event, listener, signal) {
  const position = { last: "" };
  let failures = 0;
  while (!signal.aborted) {
    try {
      await read(event, position, listener, signal, () => {
        failures = 0;
      });
      if (!signal.aborted) listener.closed(null);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.isPermanent) {
        listener.refused(error);
        return;
      }
      listener.closed(error);
    }
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    await pause(wait, signal);
  }
}

/**
 * Waits, but not longer than until the network is back.
 * @param {number} millis
 * @param {AbortSignal} signal
 */
function pause(millis, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      done(undefined);
    };
    const timer = setTimeout(end, millis);
    window.addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}

/**
 * Reads one connection to its end.
 * @param {string} event
 * @param {{ last: string }} position
 * @param {Listener} listener
 * @param {AbortSignal} signal
 * @param {() => void} onSuccess
 */
async function read(event, position, listener, signal, onSuccess) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE_MS);
  try {
    /** @type {Record<string, string>} */
    const headers = position.last ? { "Last-Event-ID": position.last } : {};
    const response = await request(`/scanning/events/${event}/stream`, { headers, signal: abort.signal, isStream: true });
    if (!response.body) throw new Error("no body");
    onSuccess();
    listener.opened(position.last !== "");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE_MS);
      listener.alive();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) handle(block, position, listener);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    abort.abort();
  }
}

/**
 * @param {string} block
 * @param {{ last: string }} position
 * @param {Listener} listener
 */
function handle(block, position, listener) {
  let name = "";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) position.last = line.slice(4);
    else if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (name) listener.event(name, JSON.parse(data || "{}"));
}
