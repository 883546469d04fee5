// @ts-check
/** Every text of the page, by language. A command without a text here shows the one of the program. */

/** @type {Record<string, Record<string, string>>} */
const TEXTS = {
  en: {
    predictions: "What the network sees",
    controls: "Controls",
    method: "Method",
    layer: "Layer",
    class: "Class",
    followBest: "most probable",
    layout: "Layout",
    colormap: "Colors",
    smoothing: "Smoothing",
    opacity: "Opacity of the heat",
    noSmoothing: "none",
    figures: "Figures",
    shortcuts: "Keys",
    about: "What am I looking at?",
    aboutText:
      "A neural network names what is in the picture. The colors show which places made it give that name: " +
      "the warmer the color, the more the place counted.",
    methodText: "The method is {method}, at the layer {layer} of {model}.",
    loading: "The network is loading …",
    noImage: "Waiting for the first image …",
    connecting: "Connecting …",
    gone: "The session has ended, or this device has lost it. Trying again …",
    noKey: "This page needs its link, with the key at its end. Use the link that streamcam printed.",
    camera: "Your camera",
    lend: "Lend this camera",
    stopLending: "Stop lending",
    flip: "Other side",
    camera_on: "Everybody in this session sees your camera. Nothing is kept unless somebody records; that is shown in the picture.",
    camera_off: "",
    camera_takenOver: "Another device lends its camera now.",
    camera_denied: "This browser was not allowed to use the camera. Allow it in the page's settings and try again.",
    camera_none: "This device has no camera that can be used.",
    camera_insecure: "Browsers lend cameras to encrypted pages only: use the https link.",
    cameraJpeg: "Your images go one by one: WebRTC did not come through.",
    without_unsupported: "This browser has no WebRTC: images come one by one.",
    without_refused: "The session refused WebRTC: images come one by one.",
    without_timeout: "Nothing came through by WebRTC: images come one by one.",
    without_lost: "The WebRTC connection was lost: images come one by one.",
    frozen: "frozen",
    image: "The picture with the heat of the network",
    freeze: "Freeze",
    full_screen: "Full screen",
    lock: "Keep this class",
    overlay: "Heat",
    save_image: "Save image",
    record: "Record",
    quit: "End session",
    quitQuestion: "End the session for everybody?",
  },
  de: {
    predictions: "Was das Netz sieht",
    controls: "Bedienung",
    method: "Verfahren",
    layer: "Schicht",
    class: "Klasse",
    followBest: "wahrscheinlichste",
    layout: "Ansicht",
    colormap: "Farben",
    smoothing: "Glättung",
    opacity: "Deckkraft der Farben",
    noSmoothing: "keine",
    figures: "Messwerte",
    shortcuts: "Tasten",
    about: "Was sehe ich hier?",
    aboutText:
      "Ein neuronales Netz benennt, was im Bild ist. Die Farben zeigen, welche Stellen dafür den Ausschlag gaben: " +
      "je wärmer die Farbe, desto mehr zählte die Stelle.",
    methodText: "Das Verfahren heißt {method}, an der Schicht {layer} von {model}.",
    loading: "Das Netz wird geladen …",
    noImage: "Warten auf das erste Bild …",
    connecting: "Verbinden …",
    gone: "Die Sitzung ist beendet oder nicht erreichbar. Neuer Versuch …",
    noKey: "Diese Seite braucht ihren Link mit dem Schlüssel am Ende. Bitte den Link benutzen, den streamcam ausgegeben hat.",
    camera: "Deine Kamera",
    lend: "Diese Kamera leihen",
    stopLending: "Nicht mehr leihen",
    flip: "Andere Seite",
    camera_on: "Alle in dieser Sitzung sehen deine Kamera. Nichts wird behalten, außer jemand nimmt auf; das steht im Bild.",
    camera_off: "",
    camera_takenOver: "Ein anderes Gerät leiht jetzt seine Kamera.",
    camera_denied: "Dieser Browser durfte die Kamera nicht benutzen. Bitte in den Einstellungen der Seite erlauben.",
    camera_none: "Dieses Gerät hat keine Kamera, die sich benutzen lässt.",
    camera_insecure: "Browser leihen Kameras nur verschlüsselten Seiten: bitte den https-Link benutzen.",
    cameraJpeg: "Deine Bilder gehen einzeln: WebRTC kam nicht durch.",
    without_unsupported: "Dieser Browser kann kein WebRTC: die Bilder kommen einzeln.",
    without_refused: "Die Sitzung hat WebRTC abgelehnt: die Bilder kommen einzeln.",
    without_timeout: "Per WebRTC kam nichts durch: die Bilder kommen einzeln.",
    without_lost: "Die WebRTC-Verbindung ist abgebrochen: die Bilder kommen einzeln.",
    frozen: "angehalten",
    image: "Das Bild mit den Farben des Netzes",
    freeze: "Anhalten",
    full_screen: "Vollbild",
    lock: "Klasse halten",
    overlay: "Farben zeigen",
    save_image: "Bild sichern",
    record: "Aufnehmen",
    quit: "Sitzung beenden",
    quitQuestion: "Die Sitzung für alle beenden?",
  },
};

export const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in TEXTS) ?? "en";

/**
 * Return a text in the reader's language.
 * @param {string} name
 * @param {Record<string, string>} values what stands for {name} in it
 * @returns {string | undefined}
 */
export function text(name, values = {}) {
  const found = TEXTS[language][name];
  return found?.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
