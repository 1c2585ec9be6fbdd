// Runs a module: node run.cjs HOW MODULE ARGUMENTS...
//   print                 a program that prints by characters: MoonBit's
//   tests                 the same, of tests: each by itself, and whether it trapped
//   wasi FOLDER           a command of WASI that is given a folder, and that something is measured of
//   call EXPORT NUMBERS   an export; what it gives is printed
"use strict";
const fs = require("fs");

const [how, file, ...rest] = process.argv.slice(2);
const module_ = new WebAssembly.Module(fs.readFileSync(file));
if (how === "print" || how === "tests") {
  let text = "";
  const spectest = {print_char: (code) => { text += String.fromCharCode(code); }};
  const time = {instant_now: () => null, instant_elapsed_as_secs_f64: () => 0};
  const guest = new WebAssembly.Instance(module_, {spectest, __moonbit_time_unstable: time}).exports;
  guest._start();
  for (let at = 0; how === "tests" && at < guest.test_count(); at++) {
    try {
      guest.test_run(at);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      text += "\ntrapped\n";
    }
  }
  process.stdout.write(text);
} else if (how === "wasi") {
  const {WASI} = require("wasi");
  const wasi = new WASI({version: "preview1", preopens: {"/": rest[0]}});
  const nothing = () => {};
  wasi.start(new WebAssembly.Instance(module_, {...wasi.getImportObject(), bench: {start: nothing, end: nothing}}));
} else {
  console.log(String(new WebAssembly.Instance(module_, {}).exports[rest[0]](...rest.slice(1).map(Number))));
}
