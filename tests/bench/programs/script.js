// What the suite `programs` has QuickJS do: JSON, regular expressions, sums, objects and strings.
const words = Array.from({length: 300}, (_, i) => "abcdefgh"[i % 8] + i * 7919 % 1009);

function records(count) {
  const data = [];
  for (let i = 0; i < count; i++)
    data.push({id: i, name: words[i % 300], tags: words.slice(i % 50, i % 50 + 4), score: i / 7});
  return JSON.parse(JSON.stringify(data));
}

function matches(text) {
  let found = 0;
  for (const pattern of [/\b[a-d]\d+/g, /(\w)(\d)\2/g, /(?:e|f)(\d{1,3}),\s*g\d*[02468]\b/g])
    for (const match of text.matchAll(pattern)) found += match[0].length;
  return found;
}

function sums(count) {
  let total = 0, mean = 0;
  const seen = new Map();
  for (let i = 0; i < count; i++) {
    total += i * i & 255;
    mean += (i - mean) / (i + 1);
    seen.set(i & 127, total);
  }
  for (const value of seen.values()) total += value;
  return total + Math.floor(mean);
}

const rows = records(1300);
const tags = rows.reduce((n, row) => n + row.tags.length, 0);
console.log(rows.length, tags, matches(words.join(", ").repeat(6)), sums(130000));
