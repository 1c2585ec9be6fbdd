import { ask as call, bytes, error, text } from "./strata_plugin";
export { plugin_alloc, plugin_free } from "./strata_plugin";
@external("host", "ask") declare function host_ask(at: usize, size: usize): u64;
export function shout(at: usize, size: usize): u64 {
  const words = text.given(at, size);
  return words.length ? text.answer(words.toUpperCase()) : error("nothing to shout");
}
export function echo(at: usize, size: usize): u64 {
  return bytes.answer(bytes.given(at, size));
}
export function quiet(at: usize, size: usize): u64 {
  return text.answer("");
}
export function ask(at: usize, size: usize): u64 {
  const found = call((at, size) => host_ask(at, size), text.given(at, size));
  return found.isError ? error(found.words) : text.answer(found.words);
}
