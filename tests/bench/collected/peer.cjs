// What V8 does of suite `gc`: node peer.cjs JOB; tests/bench/collected_peers.py says what jobs are. A call is [export, [numbers]].
"use strict";
const fs = require("fs");
const {performance} = require("perf_hooks");

const job = JSON.parse(process.argv[2]);
const compiled = new WebAssembly.Module(fs.readFileSync(job.module));
const used = () => {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e3;
};
let marks = [];
const mark = () => { marks.push([performance.now(), used()]); };

// Until so many seconds have passed: how often, wall and processor milliseconds, the longest.
function during(guest, [name, numbers]) {
  const called = guest[name];
  const cpu = used();
  const began = performance.now();
  let at = began, times = 0, longest = 0;
  do {
    const before = at;
    called(...numbers);
    at = performance.now();
    longest = Math.max(longest, at - before);
    times++;
  } while (at - began < job.seconds * 1e3);
  return {times, wall: at - began, cpu: used() - cpu, longest};
}

function load() {
  const guest = new WebAssembly.Instance(compiled, {}).exports;
  if (job.setup) guest[job.setup[0]](...job.setup[1]);
  guest[job.step[0]](...job.step[1]);
  const step = during(guest, job.step);
  return {step, op: during(guest, job.op)};
}

function caller() {
  const called = new WebAssembly.Instance(compiled, {}).exports[job.run[0]];
  return () => {
    mark();
    const said = called(...job.run[1]);
    mark();
    return String(said);
  };
}

function printer() {
  const instance = (path, imports) => new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(path)), imports).exports;
  const sink = instance(job.sink, {});
  const program = new WebAssembly.Instance(compiled, {spectest: {print_char: sink.print_char}}).exports;
  const often = instance(job.often, {program, sink}).run;
  const printed = () => Buffer.from(sink.memory.buffer, 0, sink.take()).toString("utf16le");
  often(1);
  const first = printed();
  return () => {
    mark();
    often(job.times);
    mark();
    const last = printed();
    return last === first ? last : `${JSON.stringify(first)}, then ${JSON.stringify(last)}`;
  };
}

function command() {
  const {WASI} = require("wasi");
  const path = `${job.folder}/printed`;
  return () => {
    const stdout = fs.openSync(path, "w");
    const wasi = new WASI({version: "preview1", args: ["guest"], preopens: {"/": job.folder}, stdout, returnOnExit: true});
    const code = wasi.start(new WebAssembly.Instance(compiled, {...wasi.getImportObject(), bench: {start: mark, end: mark}}));
    fs.closeSync(stdout);
    if (code) throw new Error(`the guest ended with ${code}`);
    return fs.readFileSync(path, "utf8");
  };
}

function program() {
  const run = {call: caller, print: printer, marks: command}[job.kind]();
  let said, wall = Infinity, cpu = Infinity;
  for (let i = 0; i < job.runs; i++) {
    marks = [];
    const now = run();
    if (said !== undefined && now !== said) throw new Error(`runs came to ${JSON.stringify([said, now])}`);
    said = now;
    if (marks.length !== 2) throw new Error(`${marks.length} marks of when a run began and ended`);
    wall = Math.min(wall, marks[1][0] - marks[0][0]);
    cpu = Math.min(cpu, marks[1][1] - marks[0][1]);
  }
  return {said, wall, cpu};
}

console.log(JSON.stringify(job.kind === "load" ? load() : program()));
