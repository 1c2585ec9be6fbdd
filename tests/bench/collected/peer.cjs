// What V8 does with a guest of suite `gc`: node peer.cjs load|program MODULE CALLS SECONDS; a call is [export, [numbers]].
"use strict";
const fs = require("fs");
const {performance} = require("perf_hooks");

const [kind, file, calls, seconds] = process.argv.slice(2);
const guest = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), {}).exports;
const call = ([name, numbers]) => guest[name](...numbers);

// Until so many seconds have passed: how often, wall and processor milliseconds, the longest.
function during(one) {
  const [name, numbers] = one;
  const called = guest[name];
  const cpu = process.cpuUsage();
  const began = performance.now();
  let at = began, times = 0, longest = 0;
  do {
    const before = at;
    called(...numbers);
    at = performance.now();
    longest = Math.max(longest, at - before);
    times++;
  } while (at - began < seconds * 1e3);
  const used = process.cpuUsage(cpu);
  return {times, wall: at - began, cpu: (used.user + used.system) / 1e3, longest};
}

if (kind === "program") {
  const [run] = JSON.parse(calls);
  let said, wall = Infinity;
  for (let i = 0; i < seconds; i++) {
    const began = performance.now();
    said = call(run);
    wall = Math.min(wall, performance.now() - began);
  }
  console.log(JSON.stringify({said: String(said), wall}));
} else {
  const [setup, step, op] = JSON.parse(calls);
  if (setup) call(setup);
  call(step);
  console.log(JSON.stringify({steps: during(step), ops: during(op)}));
}
