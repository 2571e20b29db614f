// The chat's page: what the server says becomes text on the page, never markup.
"use strict";

const byId = (id) => document.getElementById(id);
const KEPT_LINES = 500;
const LONGEST_PAUSE = 30; // seconds between two attempts to connect again

let socket = null;
let wanted = null; // the room and name to be in, also after a lost connection
let number = 0; // of the latest event of the room that we know of
let members = new Set();
let attempts = 0;
let retry = null;

// -- the connection -----------------------------------------------------------------

function connect() {
  clearTimeout(retry);
  // Relative to this page, so that it works below /proxy/PORT/ as well.
  const url = new URL("chat", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  setStatus("Connecting …");
  const opened = new WebSocket(url);
  socket = opened;
  opened.onopen = () => send({ type: "join", ...wanted });
  opened.onmessage = ({ data }) => receive(JSON.parse(data));
  opened.onclose = ({ code, reason }) => {
    if (socket === opened) lost(code, reason);
  };
}

function send(request) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(request));
}

function lost(code, reason) {
  socket = null;
  if (wanted === null) return setStatus("Not connected");
  // Everybody loses a restarting server at the same moment: come back one by one.
  const pause = Math.random() * Math.min(LONGEST_PAUSE, 2 ** attempts);
  attempts += 1;
  const why = reason || `code ${code}`;
  setStatus(`Connection lost (${why}), again in ${pause.toFixed(1)} s`);
  retry = setTimeout(connect, pause * 1000);
}

function stop() {
  wanted = null;
  clearTimeout(retry);
  const old = socket;
  socket = null;
  old?.close(1000);
  showChat(false);
  setStatus("Not connected");
}

// -- what the server says -------------------------------------------------------------

const receivers = {
  welcome(message) {
    attempts = 0;
    number = message.number; // a server that has started anew counts anew
    showChat(true, message.room);
    setStatus(`In ${message.room} as ${message.name}`);
    startFrom(message);
  },
  history: startFrom,
  joined(message) {
    members.add(message.name);
    showMembers();
    addLine("event", "", `${message.name} came`, message.number);
  },
  left(message) {
    members.delete(message.name);
    showMembers();
    addLine("event", "", `${message.name} left`, message.number);
  },
  message: showMessage,
  private(message) {
    addLine("private", message.name, `to you alone: ${message.text}`);
  },
  sent(message) {
    addLine("private", "You", `to ${message.to} alone: ${message.text}`);
  },
  error(message) {
    byId("error").textContent = message.detail;
    if (byId("chat").hidden) stop();
    // We come back before the server knows that our old connection is dead.
    else if (message.code === "name-taken") socket?.close();
  },
};

function receive(message) {
  // Only events of the room are numbered without a gap: see chat_protocol.py.
  if (["joined", "left", "message"].includes(message.type)) {
    if (message.number <= number) return; // the history had it
    const missed = message.number - number - 1;
    if (missed > 0) {
      addLine("gap", "", `${missed} missed: this page was too slow`);
      send({ type: "history" });
    }
    number = message.number;
  }
  receivers[message.type]?.(message);
}

function startFrom(snapshot) {
  number = Math.max(number, snapshot.number);
  members = new Set(snapshot.members);
  showMembers();
  byId("log").replaceChildren();
  for (const message of snapshot.history) showMessage(message);
}

// -- the page ---------------------------------------------------------------------------

function showMessage(message) {
  addLine("message", message.name, message.text, message.number);
}

function addLine(kind, name, text, count) {
  const line = document.createElement("li");
  line.className = kind;
  line.append(
    span("number", count === undefined ? "" : `${count} `),
    span("name", name && `${name}: `),
    span("text", text),
  );
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.children.length > KEPT_LINES) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text; // text stays text, whatever it looks like
  return element;
}

function showMembers() {
  const names = [...members].sort((a, b) => a.localeCompare(b));
  byId("members").replaceChildren(...names.map((name) => {
    const item = document.createElement("li");
    item.textContent = name === wanted?.name ? `${name} (you)` : name;
    return item;
  }));
  const to = byId("to");
  const chosen = to.value;
  const others = names.filter((name) => name !== wanted?.name);
  to.replaceChildren(
    new Option("everybody", ""),
    ...others.map((name) => new Option(name, name)),
  );
  to.value = others.includes(chosen) ? chosen : "";
}

function showChat(shown, room = "") {
  const wasHidden = byId("chat").hidden;
  byId("chat").hidden = !shown;
  byId("join").hidden = shown;
  byId("room-title").textContent = `Room ${room}`;
  if (shown && wasHidden) byId("text").focus();
  if (!shown) byId("name").focus();
}

function setStatus(text) {
  byId("status").textContent = text;
}

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("error").textContent = "";
  wanted = { room: byId("room").value.trim(), name: byId("name").value.trim() };
  number = 0;
  attempts = 0;
  connect();
});

byId("write").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("error").textContent = "";
  if (socket?.readyState !== WebSocket.OPEN) {
    byId("error").textContent = "Not connected now: your text is still here.";
    return;
  }
  const text = byId("text").value;
  const to = byId("to").value;
  send(to ? { type: "private", to, text } : { type: "message", text });
  byId("text").value = "";
});

byId("leave").addEventListener("click", stop);
