"use strict";

const STREAMS = 10;
const SECONDS = 30;

const openAll = document.getElementById("open");
const closeAll = document.getElementById("close");
const summary = document.getElementById("summary");
const body = document.getElementById("streams");
let streams = [];
let alarm;

class Stream {
  constructor(number) {
    this.events = 0;
    this.row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = number;
    this.row.append(head);
    this.state = this.row.insertCell();
    this.count = this.row.insertCell();
    this.count.className = "number";
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.textContent = `Close ${number}`;
    this.button.addEventListener("click", () => this.close());
    this.row.insertCell().append(this.button);
    // An address of its own, or the browser might wait for the first one's answer to
    // see whether its cache can serve the others.
    this.source = new EventSource(`stream?since=0&stream=${number}`);
    this.source.onopen = () => this.show("open");
    this.source.onerror = () => this.show("lost");
    for (const kind of ["goal", "card", "corner", "substitution", "kick-off", "full-time"]) {
      this.source.addEventListener(kind, () => this.heard());
    }
    this.show("waiting");
  }

  heard() {
    this.events += 1;
    this.show("open");
  }

  close() {
    this.source.close();
    this.button.disabled = true;
    this.show("closed");
  }

  show(state) {
    const texts = {
      waiting: "waits for a connection",
      open: "open",
      lost: "lost, the browser tries again",
      closed: "closed",
    };
    this.row.dataset.state = this.state.dataset.state = state;
    this.state.textContent = texts[state];
    this.count.textContent = this.events;
    summarize();
  }
}

function summarize() {
  const count = (state) => streams.filter((s) => s.row.dataset.state === state).length;
  const text = `${count("open")} of ${streams.length} streams are open, ${count("waiting")} wait.`;
  // Said again only when it changed, or a screen reader would never be silent.
  if (summary.textContent !== text) summary.textContent = text;
}

function start() {
  stop();
  body.replaceChildren();
  streams = [];
  for (let number = 1; number <= STREAMS; number += 1) streams.push(new Stream(number));
  openAll.disabled = true;
  closeAll.disabled = false;
  alarm = setTimeout(stop, SECONDS * 1000);
  summarize();
}

function stop() {
  clearTimeout(alarm);
  for (const stream of streams) stream.close();
  openAll.disabled = false;
  closeAll.disabled = true;
}

document.getElementById("seconds").textContent = SECONDS;
openAll.addEventListener("click", start);
closeAll.addEventListener("click", stop);
addEventListener("pagehide", stop);
