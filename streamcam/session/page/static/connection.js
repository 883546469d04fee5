// @ts-check
/** The connection to the session: the key for a cookie, then the state as it changes, and commands back. */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/**
 * @typedef {{
 *   choices: any,
 *   role: string,
 *   camera: boolean,
 *   webrtc: RTCConfiguration | null,
 *   share: {link: string, code: string, lends: boolean} | null,
 * }} Hello what does not change; `camera` tells whether this browser may lend its camera
 */

const OWN_NAMES = ["localhost", "127.0.0.1"];

/**
 * Call this computer as the notebook calls it that holds this page in a frame: browsers give cookies to frames
 * of the same site only.
 * @returns {boolean} whether the page is loaded again, by another name
 */
function isRenamed() {
  const origin = location.ancestorOrigins?.[0] || document.referrer;
  const name = window === window.top || !origin ? location.hostname : new URL(origin).hostname;
  if (name === location.hostname || ![name, location.hostname].every((each) => OWN_NAMES.includes(each))) return false;
  location.replace(`${location.protocol}//${name}:${location.port}${location.pathname}${location.search}${location.hash}`);
  return true;
}

/**
 * Put what somebody wrote behind the key, as ?kiosk, where it belongs.
 * @returns {boolean} whether the page is loaded again
 */
function isReordered() {
  const [key, query] = location.hash.slice(1).split("?");
  if (query === undefined) return false;
  location.replace(`${location.pathname}?${query}#${key}`);
  return true;
}

/**
 * Exchange the key behind # for a cookie, and take it out of the address.
 * @returns {Promise<boolean>} whether the key was refused
 */
async function present() {
  const key = location.hash.slice(1);
  if (!key) return false;
  history.replaceState(null, "", location.pathname + location.search);
  const answer = await fetch("session", { method: "POST", body: key });
  return answer.status === 403;
}

/**
 * Stay connected to the session.
 * @param {{
 *   onHello: (hello: Hello) => void,
 *   onState: (state: any) => void,
 *   onPeople: (people: {watching: number, controlling: number}) => void,
 *   onReply: (reply: import("./images.js").Reply) => void,
 *   onProblem: (name: "gone" | "noKey") => void,
 * }} listener
 * @returns {Promise<(message: object) => void>} sends a message: a command, or an offer of WebRTC
 */
export async function connect(listener) {
  /** @type {WebSocket | null} */
  let socket = null;
  let wait = FIRST_WAIT_MS;

  async function open() {
    const answer = await fetch("labels").catch(() => null);
    if (answer?.status === 403) {
      listener.onProblem("noKey");
      return;
    }
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/state`);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.choices) {
        wait = FIRST_WAIT_MS;
        listener.onHello(message);
      } else if ("answer" in message || "refused" in message) {
        listener.onReply(message);
      } else if (message.people) {
        listener.onPeople(message.people);
      } else if (message.source) {
        listener.onState(message);
      }
    };
    socket.onclose = () => {
      listener.onProblem("gone");
      setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    };
  }

  if (isRenamed() || isReordered()) return () => {};
  if (await present().catch(() => false)) listener.onProblem("noKey");
  else await open();
  return (message) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}

/**
 * Fetch the names of all classes.
 * @returns {Promise<string[]>}
 */
export async function fetchLabels() {
  const answer = await fetch("labels");
  return answer.ok ? answer.json() : [];
}
