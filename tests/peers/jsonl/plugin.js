#!/usr/bin/env node
// A plugin in Node: adds numbers after a while, many calls at once, and stops work that is called off.
const readline = require("node:readline");

const running = new Map();
const answer = (message) => process.stdout.write(JSON.stringify(message) + "\n");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  if (request.cancel !== undefined) {
    clearTimeout(running.get(request.cancel));
    running.delete(request.cancel);
    console.error(`cancelled ${request.cancel}`);
    return;
  }
  const { id, payload } = request;
  const finish = () => {
    running.delete(id);
    answer({ id, result: { sum: payload.a + payload.b, in_flight: running.size } });
  };
  running.set(id, setTimeout(finish, payload.wait ?? 0));
});
