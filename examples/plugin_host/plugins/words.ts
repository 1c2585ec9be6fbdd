// How many words, letters and lines a text has.
import { text } from "./strata_plugin";
export { plugin_alloc, plugin_free } from "./strata_plugin";

export function count(at: usize, size: usize): u64 {
  const given = text.given(at, size);
  const words = given.split(" ").filter((word) => word.trim().length > 0).length;
  const lines = given.length ? given.split("\n").length : 0;
  return text.answer(`{"words":${words},"letters":${given.length},"lines":${lines}}`);
}
