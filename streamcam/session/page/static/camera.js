// @ts-check
/** This device's camera, lent to the session: by WebRTC, or JPEG by JPEG, each as soon as the one before has arrived. */

import { makeOffer, preferH264, watchConnection } from "./images.js";

const WIDTH = 960;
const QUALITY = 0.8;
const TAKEN_OVER = 4000;
const WAIT_MS = 1000;
const PATIENCE_MS = 6000;

/** @type {Record<string, Off>} what stands for errors of browsers; others mean that there is no camera */
const FAULTS = { NotAllowedError: "denied", SecurityError: "insecure" };

/** @typedef {"off" | "takenOver" | "denied" | "none" | "insecure"} Off */

/** Return this tab's name, by which the session knows it when it comes again. */
function tabName() {
  const name = sessionStorage.getItem("tab") ?? crypto.randomUUID();
  sessionStorage.setItem("tab", name);
  return name;
}

async function listCameras() {
  return (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
}

/**
 * A camera that is lent until `stop`.
 */
export class Camera {
  /**
   * @param {(state: "on" | Off, transport?: "webrtc" | "jpeg") => void} onChange
   * @param {(place: string | null) => void} onPlace receives the name of the tile that shows it
   */
  constructor(onChange, onPlace) {
    this.onChange = onChange;
    this.onPlace = onPlace;
    this.facing = "environment";
    this.isWanted = false;
    this.hasOthers = false;
    /** @type {RTCConfiguration | null} of WebRTC; null where the session takes JPEGs only */
    this.configuration = null;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.isWanted && !this.socket) this.start();
    });
  }

  async start() {
    this.isWanted = true;
    if (await this.open({ facingMode: this.facing })) this.connect();
  }

  /**
   * Open a camera, in the place of one that is open.
   * @param {MediaTrackConstraints} which
   * @returns {Promise<boolean>} whether it is open, and still wanted
   */
  async open(which) {
    this.close();
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
      const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 } };
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: false, video });
    } catch (error) {
      this.end(FAULTS[/** @type {Error} */ (error).name] ?? "none");
      return false;
    }
    if (!this.isWanted) {
      this.close(); // somebody changed their mind while the browser asked
      return false;
    }
    // A call or another program may take the camera away: it is asked for again.
    this.stream.getVideoTracks()[0].onended = () => this.isWanted && this.restart();
    this.video.srcObject = this.stream;
    await this.video.play();
    this.hasOthers = (await listCameras()).length > 1;
    return true;
  }

  async restart() {
    this.stop();
    await this.start();
  }

  /** Let go of the camera itself. */
  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
  }

  connect() {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/camera?tab=${tabName()}`;
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.onopen = () => {
      if (this.configuration && window.RTCPeerConnection) this.call(this.configuration);
      else this.sendJpegs(this.configuration ? "unsupported" : undefined);
    };
    socket.onmessage = (event) => {
      if (event.data === "next") return this.send();
      const message = JSON.parse(event.data);
      if ("place" in message) this.onPlace(message.place);
      else this.take(message);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.hangUp();
      this.socket = undefined;
      if (event.code === TAKEN_OVER) this.end("takenOver");
      else if (this.isWanted) setTimeout(() => this.isWanted && !this.socket && this.connect(), WAIT_MS);
    };
  }

  /** @param {RTCConfiguration} configuration */
  async call(configuration) {
    const peer = new RTCPeerConnection(configuration);
    this.peer = peer;
    const [track] = this.stream?.getVideoTracks() ?? [];
    const transceiver = peer.addTransceiver(track, { direction: "sendonly" });
    preferH264(transceiver, RTCRtpSender.getCapabilities("video"));
    const fallBack = (/** @type {import("./images.js").Reason} */ reason) => this.peer === peer && this.sendJpegs(reason);
    const timer = setTimeout(() => fallBack("timeout"), PATIENCE_MS);
    watchConnection(peer, () => fallBack("lost"));
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState !== "connected") return;
      clearTimeout(timer);
      this.onChange("on", "webrtc");
    });
    const offer = await makeOffer(peer, !!configuration.iceServers?.length);
    if (this.peer === peer) this.socket?.send(JSON.stringify({ offer }));
  }

  /** @param {import("./images.js").Reply} reply */
  async take(reply) {
    const peer = this.peer;
    if (!peer) return;
    try {
      await peer.setRemoteDescription({ type: "answer", sdp: reply.answer ?? "" });
    } catch {
      if (this.peer === peer) this.sendJpegs("refused");
    }
  }

  hangUp() {
    this.peer?.close();
    this.peer = undefined;
  }

  /**
   * Send JPEGs, and say why not video.
   * @param {import("./images.js").Reason} [reason]
   */
  sendJpegs(reason) {
    this.hangUp();
    if (reason) this.socket?.send(JSON.stringify({ fallback: reason }));
    this.onChange("on", "jpeg");
    this.send();
  }

  /** Send the image of this moment. */
  send() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.isWanted || !width) {
      setTimeout(() => this.socket && this.send(), 50);
      return;
    }
    const scale = Math.min(1, WIDTH / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d")?.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.toBlob((blob) => blob && this.socket?.readyState === WebSocket.OPEN && this.socket.send(blob), "image/jpeg", QUALITY);
  }

  /** Use the camera on the other side; where none says which side it looks to, the next one. */
  async flip() {
    this.facing = this.facing === "user" ? "environment" : "user";
    const before = this.deviceId();
    this.stop();
    this.isWanted = true;
    if (!(await this.open({ facingMode: this.facing }))) return;
    const cameras = (await listCameras()).map((each) => each.deviceId);
    const next = cameras[(cameras.indexOf(before ?? "") + 1) % cameras.length];
    if (this.deviceId() !== before || !next || (await this.open({ deviceId: { exact: next } }))) this.connect();
  }

  deviceId() {
    return this.stream?.getVideoTracks()[0].getSettings().deviceId;
  }

  stop() {
    this.end("off");
  }

  /** @param {Off} state */
  end(state) {
    this.isWanted = false;
    this.hangUp();
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.close();
    this.onPlace(null);
    this.onChange(state);
  }
}
