// @ts-check
/** The images of the session: as video by WebRTC where that works, otherwise as a stream of JPEGs. */

const PATIENCE_MS = 6000;
const STALL_MS = 4000;
const DISCONNECTED_MS = 3000;

/** @typedef {"unsupported" | "refused" | "timeout" | "lost"} Reason */
/** @typedef {{answer?: string, refused?: string}} Reply */

/**
 * Put H.264 first, which most devices decode and encode in hardware.
 * @param {RTCRtpTransceiver} transceiver
 * @param {RTCRtpCapabilities | null} capabilities
 */
export function preferH264(transceiver, capabilities) {
  const codecs = capabilities?.codecs ?? [];
  const isH264 = (/** @type {{mimeType: string}} */ codec) => codec.mimeType.toLowerCase() === "video/h264";
  transceiver.setCodecPreferences?.([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))]);
}

/**
 * Return an offer that can be sent.
 * @param {RTCPeerConnection} peer
 * @param {boolean} asksServers whether STUN or TURN servers find out addresses first; without them none is
 *   needed: the session knows this device's from its first packet
 */
export async function makeOffer(peer, asksServers) {
  await peer.setLocalDescription(await peer.createOffer());
  while (asksServers && peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => peer.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  const sdp = peer.localDescription?.sdp ?? "";
  return sdp.split("\r\n").filter((line) => !/^a=candidate:.*\.local /.test(line)).join("\r\n");
}

/**
 * Call back once when a connection has failed.
 * @param {RTCPeerConnection} peer
 * @param {() => void} onLost
 */
export function watchConnection(peer, onLost) {
  /** @type {number | undefined} */
  let timer;
  peer.onconnectionstatechange = () => {
    clearTimeout(timer);
    if (peer.connectionState === "failed") onLost();
    if (peer.connectionState === "disconnected") timer = setTimeout(onLost, DISCONNECTED_MS);
  };
}

/**
 * Images in one of two elements.
 */
export class Images {
  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLImageElement} image
   * @param {{
   *   send: (message: {offer: string} | {fallback: Reason}) => void,
   *   onShown: () => void,
   *   onTransport: (name: "webrtc" | "mjpeg", reason?: Reason) => void,
   * }} listener
   */
  constructor(video, image, listener) {
    this.video = video;
    this.image = image;
    this.listener = listener;
    video.muted = video.playsInline = true;
    image.onload = () => this.reveal(image);
  }

  /**
   * Begin to show images.
   * @param {RTCConfiguration | null} configuration of WebRTC; null where the session sends JPEGs only
   */
  async start(configuration) {
    this.stop();
    if (!configuration) return this.showJpegs();
    if (!window.RTCPeerConnection) return this.fallBack("unsupported");
    const peer = new RTCPeerConnection(configuration);
    this.peer = peer;
    const transceiver = peer.addTransceiver("video", { direction: "recvonly" });
    preferH264(transceiver, RTCRtpReceiver.getCapabilities("video"));
    peer.ontrack = (event) => {
      if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
      this.video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      this.video.play().catch(() => {});
    };
    watchConnection(peer, () => this.fallBack("lost", peer));
    this.timer = setTimeout(() => this.fallBack("timeout", peer), PATIENCE_MS);
    this.video.onloadeddata = () => {
      clearTimeout(this.timer);
      this.reveal(this.video);
      this.listener.onTransport("webrtc");
      this.watch(peer);
    };
    const offer = await makeOffer(peer, !!configuration.iceServers?.length);
    if (this.peer === peer) this.listener.send({ offer });
  }

  /** @param {Reply} reply */
  async take(reply) {
    const peer = this.peer;
    if (!peer) return;
    if (reply.answer === undefined) return this.fallBack("refused", peer);
    try {
      await peer.setRemoteDescription({ type: "answer", sdp: reply.answer });
    } catch {
      this.fallBack("refused", peer);
    }
  }

  /**
   * Fall back if no image is decoded though some arrive.
   * @param {RTCPeerConnection} peer
   */
  watch(peer) {
    let decoded = -1;
    let received = -1;
    this.checks = setInterval(async () => {
      const stats = [...(await peer.getStats()).values()].find((each) => each.type === "inbound-rtp");
      if (!stats || this.peer !== peer) return;
      if (stats.bytesReceived > received && stats.framesDecoded === decoded) this.fallBack("timeout", peer);
      [decoded, received] = [stats.framesDecoded, stats.bytesReceived];
    }, STALL_MS);
  }

  /**
   * Show JPEGs, and say why.
   * @param {Reason} reason
   * @param {RTCPeerConnection} [peer] the connection that this is about; nothing is done if there is another by now
   */
  fallBack(reason, peer) {
    if (peer && this.peer !== peer) return;
    this.stop();
    this.listener.send({ fallback: reason });
    this.showJpegs(reason);
  }

  /** @param {Reason} [reason] */
  showJpegs(reason) {
    this.image.src = `images?${Date.now()}`;
    this.listener.onTransport("mjpeg", reason);
  }

  /** @param {HTMLElement} shown */
  reveal(shown) {
    this.video.hidden = shown !== this.video;
    this.image.hidden = shown !== this.image;
    this.listener.onShown();
  }

  /** Show nothing, and free everything. */
  stop() {
    clearTimeout(this.timer);
    clearInterval(this.checks);
    this.peer?.close();
    this.peer = undefined;
    this.video.srcObject = null;
    this.image.removeAttribute("src");
    this.video.hidden = this.image.hidden = true;
  }
}
