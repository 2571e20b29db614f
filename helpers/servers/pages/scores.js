"use strict";

// An event with a name of its own goes to the listeners for that name only.
const KINDS = ["goal", "card", "corner", "substitution", "kick-off", "full-time"];
const SHOWN = 15;
const PATIENCE = 2000; // milliseconds

const state = document.getElementById("state");
const toggle = document.getElementById("toggle");
const rows = new Map();
let source = null;
let again;
let last = 0;

function connect() {
  // The browser itself reconnects a stream that broke, and sends Last-Event-ID. A new
  // EventSource knows nothing of the one before, so the address says where to go on.
  source = new EventSource(`stream?since=${last}`);
  source.onopen = () => say("open", "Connected.");
  source.onerror = lost;
  for (const kind of KINDS) source.addEventListener(kind, happened);
  source.addEventListener("missed", ({ data }) => {
    const { missed } = JSON.parse(data);
    const what = missed === null ? "The numbers began anew" : `${missed} events are no longer kept`;
    document.getElementById("missed").textContent = `${what}: this page is not complete.`;
  });
  source.addEventListener("dropped", ({ data }) => say("lost", JSON.parse(data).reason));
  say("waiting", "Connecting …");
  toggle.textContent = "Disconnect";
}

// A stream that broke is the browser's matter. After an answer that is no stream, as a
// proxy gives while the server restarts, it gives up for good: then it is ours.
function lost() {
  say("lost", "Lost. It is tried again.");
  if (source.readyState === EventSource.CLOSED) again = setTimeout(connect, PATIENCE);
}

function disconnect() {
  clearTimeout(again);
  source.close();
  source = null;
  toggle.textContent = "Connect";
  say("closed", `Disconnected after event ${last}.`);
}

function say(name, text) {
  state.dataset.state = name;
  state.textContent = text;
}

function happened(message) {
  const event = JSON.parse(message.data);
  last = Number(message.lastEventId);
  const row = rows.get(event.match) ?? addRow(event.match);
  row.score.textContent = event.score?.join(" : ") ?? "";
  row.minute.textContent = event.minute ?? "";
  row.last.textContent = event.team ? `${event.kind}, ${event.team}` : event.kind;
  log(`${last}. ${event.kind}: ${event.match ?? ""} ${event.score?.join(":") ?? ""}`);
}

function addRow(match) {
  const row = document.getElementById("matches").insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = match ?? "";
  row.append(head);
  const cells = { score: row.insertCell(), minute: row.insertCell(), last: row.insertCell() };
  cells.score.className = cells.minute.className = "number";
  rows.set(match, cells);
  return cells;
}

function log(text) {
  const list = document.getElementById("log");
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
  while (list.children.length > SHOWN) list.lastChild.remove();
}

toggle.addEventListener("click", () => (source ? disconnect() : connect()));
connect();
