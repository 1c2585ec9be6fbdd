// A plugin of Strata in AssemblyScript: the calling convention, in one file. In the plugin's own file:
//
//   import { text, error, ask } from "./strata_plugin";
//   export { plugin_alloc, plugin_free, plugin_abort } from "./strata_plugin";
//
//   @external("log", "write") declare function log_write(at: usize, size: usize): u64;
//
//   export function shout(at: usize, size: usize): u64 {
//     const words = text.given(at, size);
//     if (words.length == 0) return error("nothing to shout");
//     ask((at, size) => log_write(at, size), words);
//     return text.answer(words.toUpperCase());
//   }
//
// asc shout.ts -o shout.wasm -O --use abort=strata_plugin/plugin_abort
//
// The argument is the host's, which frees it when the function returns; so is the answer. Bytes, text and JSON (as text)
// go the same way; the manifest says which it is. What `error` makes is an error in words: the host raises ErrorAnswer,
// and the plugin goes on. `throw` is a trap, and costs the plugin its instance.

const IS_ERROR: u64 = 1 << 31;

/** The host asks for room. */
export function plugin_alloc(size: usize): usize {
  return heap.alloc(size ? size : 1);
}

/** The host gives it back. */
export function plugin_free(at: usize, size: usize): void {
  heap.free(at);
}

/** `throw`, and what the language itself finds wrong: a trap, without an import of the host. */
export function plugin_abort(message: usize, file: usize, line: u32, column: u32): void {
  unreachable();
}

function packed(from: usize, size: usize, mark: u64): u64 {
  assert(u64(size) < IS_ERROR);
  if (!size) return mark; // the host frees what has bytes
  const at = plugin_alloc(size);
  memory.copy(at, from, size);
  return (u64(at) << 32) | u64(size) | mark;
}

export namespace bytes {
  /** A copy of the argument. */
  export function given(at: usize, size: usize): Uint8Array {
    const data = new Uint8Array(i32(size));
    memory.copy(data.dataStart, at, size);
    return data;
  }

  /** An answer of some bytes. */
  export function answer(data: Uint8Array): u64 {
    return packed(data.dataStart, usize(data.length), 0);
  }
}

export namespace text {
  /** The argument as a text. */
  export function given(at: usize, size: usize): string {
    return String.UTF8.decodeUnsafe(at, size);
  }

  /** An answer of a text, or of JSON. */
  export function answer(words: string): u64 {
    const data = String.UTF8.encode(words);
    return packed(changetype<usize>(data), usize(data.byteLength), 0);
  }
}

/** An error, in words. */
export function error(words: string): u64 {
  return text.answer(words) | IS_ERROR;
}

/** What a function of the host answered: `words`, and whether they are an error. */
export class Answer {
  constructor(public words: string, public isError: bool) {}
}

/** Call a function of the host with a text. */
export function ask(call: (at: usize, size: usize) => u64, argument: string): Answer {
  const data = String.UTF8.encode(argument);
  const answer = call(changetype<usize>(data), usize(data.byteLength));
  const size = usize(answer & (IS_ERROR - 1)), at = usize(answer >> 32);
  const words = size ? text.given(at, size) : "";
  if (size) plugin_free(at, size);
  return new Answer(words, (answer & IS_ERROR) != 0);
}
