// A server that reads a slow file, and a heart that beats every 10 ms beside it.
//
//     node blocking.js FILE

const fs = require("node:fs");
const http = require("node:http");
const file = process.argv[2];

const now = () => (performance.timeOrigin + performance.now()) / 1000;

const beats = []; // [when, seconds late]
let due = now() + 0.01;
setInterval(() => {
  beats.push([now(), Math.max(0, now() - due)]);
  if (beats.length > 10000) beats.shift();
  due = now() + 0.01;
}, 10);

const answers = {
  "/quick": () => "quick",
  "/sync": () => fs.readFileSync(file), // nothing else runs meanwhile
  "/async": () => fs.promises.readFile(file), // the loop goes on
  "/beats": () => JSON.stringify(beats.splice(0)),
};

const server = http.createServer(async (request, response) => {
  const answer = answers[request.url];
  if (!answer) return response.writeHead(404).end("not found");
  try {
    response.end(await answer());
  } catch (error) {
    response.writeHead(500).end(error.message);
  }
});
server.listen(process.env.PORT ?? 0, "127.0.0.1", () =>
  console.log(server.address().port));
