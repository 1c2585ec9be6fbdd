// Compiles a MoonBit program to WasmGC: node moonc.cjs COMPILER PLAN. What is made of the library's packages is kept.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [compiler, planned] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planned, "utf8"));

// The compiler is written for a worker of a browser: it is called by messages.
const listeners = [];
const waiting = new Map();
const worker = {
  console, process, require, performance, setTimeout, clearTimeout, TextEncoder, TextDecoder, MessageChannel,
  Uint8Array, ArrayBuffer, DataView, FinalizationRegistry, module: {exports: {}}, exports: {},
  addEventListener: (_, listener) => listeners.push(listener),
  removeEventListener: () => {},
  postMessage: (message) => waiting.get(message.id)(message),
};
worker.self = worker.globalThis = worker;
vm.runInNewContext(fs.readFileSync(compiler, "utf8"), worker, {filename: path.basename(compiler)});

function ask(name, params) {
  return new Promise((resolve, reject) => {
    const id = String(waiting.size);
    waiting.set(id, (answer) =>
      answer.type === "HANDLER" ? reject(new Error(JSON.stringify(answer.value))) : resolve(answer.value));
    const data = {id, type: "APPLY", path: [name], argumentList: [{type: "RAW", value: params}]};
    for (const listener of listeners) listener({data, origin: "*"});
  });
}

// Behind a package's tests: calls that run them one by one.
const DRIVER = `
let all_cases : Array[(String, () -> Unit raise)] = []

fn collect_cases(
  no_args : Map[String, Map[Int, (() -> Unit raise, Array[String])]],
  with_args : Map[String, Map[Int, ((@test.Test) -> Unit raise, Array[String])]],
) -> Unit {
  for file, cases in no_args {
    for index, pair in cases {
      all_cases.push(("\\{file} \\{index} \\{pair.1}", pair.0))
    }
  }
  for file, cases in with_args {
    for index, pair in cases {
      let f = pair.0
      all_cases.push(("\\{file} \\{index} \\{pair.1}", () => f(@test.Test::new("case"))))
    }
  }
}

pub fn test_count() -> Int {
  all_cases.length()
}

pub fn test_run(at : Int) -> Unit {
  let (name, f) = all_cases[at]
  println(name)
  try {
    f()
    println("ok")
  } catch {
    error => println("raised \\{error}")
  }
}

fn main {
TESTS
  collect_cases(no_args_tests, with_args_tests)
}
`;

async function build(one, interfaces) {
  const kept = (ending) => path.join(plan.kept, one.name.replaceAll("/", "+") + ending);
  if (!one.main && fs.existsSync(kept(".core")))
    return {core: new Uint8Array(fs.readFileSync(kept(".core"))), mi: new Uint8Array(fs.readFileSync(kept(".mi")))};
  const files = one.files.map(([name, file]) => [name, fs.readFileSync(file, "utf8")]);
  if (one.tests) files.push(["driver.mbt", DRIVER.replace("TESTS", await ask("genTestInfo", {mbtFiles: files}))]);
  const made = await ask("buildPackage", {
    mbtFiles: files,
    miFiles: interfaces(one.imports), indirectImportMiFiles: interfaces(one.indirect), stdMiFiles: interfaces(one.library),
    target: "wasm-gc", pkg: one.name, pkgSources: [`${one.name}:${one.source}`], isMain: one.main, errorFormat: "human",
    enableValueTracing: false, noOpt: false,
  });
  if (!made.core) throw new Error(`${one.name} cannot be compiled\n${made.diagnostics.join("\n")}`);
  if (!one.main) {
    for (const ending of [".mi", ".core"]) { // whole or not at all, however this ends
      const part = kept(ending + process.pid);
      fs.writeFileSync(part, made[ending.slice(1)]);
      fs.renameSync(part, kept(ending));
    }
  }
  return made;
}

async function main() {
  const made = new Map();
  const interfaces = (names) => names.map(([name, alias]) => [`${name}.mi:${alias}`, made.get(name).mi]);
  for (const one of plan.packages) made.set(one.name, await build(one, interfaces));
  const names = plan.packages.map((one) => one.name);
  const linked = await ask("linkCore", {
    coreFiles: names.map((name) => made.get(name).core), main: names.at(-1), target: "wasm-gc", pkgSources: plan.packages.map((one) => `${one.name}:${one.source}`), outputFormat: "wasm", testMode: false,
    exportedFunctions: plan.packages.at(-1).tests ? ["test_count", "test_run"] : [], debug: false, noOpt: false, sourceMap: false, sources: {}, stopOnMain: false,
  });
  fs.writeFileSync(plan.result, linked.result);
}

main().catch((error) => {
  console.error(error.message.split("\n").filter((line) => !line.includes("Warning")).slice(0, 30).join("\n"));
  process.exit(1);
});
