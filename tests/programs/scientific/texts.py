"""Texts: markup, differences, templates, templates of formats, Unicode, encodings, parsers of HTML and XML."""

import codecs
import difflib
import html
import pprint
import reprlib
import string
import textwrap
import unicodedata
import xml.etree.ElementTree as ET
from collections import ChainMap, Counter, OrderedDict, deque
from html.parser import HTMLParser
from xml.dom import minidom

PAGE = """<!doctype html><html lang=en><head><title>A &amp; B</title></head><body>
<h1 class="big red" id=top>Caf&eacute; &#x2603;</h1><p>one<br>two <a href="/x?a=1&b=2">three</a></p>
<!-- note --><table><tr><td>1<td>2</tr><tr><td>3<td>4</tr></table><script>if (a < b) {}</script></body></html>"""


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.depth, self.seen, self.links, self.cells = 0, [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append("." * self.depth + tag)
        self.links += [value for key, value in attrs if key == "href"]
        self.depth += tag not in {"br", "td"}

    def handle_endtag(self, tag):
        self.depth -= tag not in {"br", "td"}

    def handle_data(self, data):
        if self.lasttag == "td":
            self.cells += data.split()

    def handle_comment(self, data):
        self.seen.append(f"({data.strip()})")


outline = Outline()
outline.feed(PAGE)
print(outline.seen, outline.links, outline.cells, outline.depth)
print(html.unescape("&lt;&notit;&#0;&Aacute;&hearts;"), html.escape("<'\"&>"))
root = ET.fromstring("<shop n='1' xmlns:x='urn:x'><x:item p='3'>a</x:item><x:item p='4'>b<c/>tail</x:item></shop>")
print([(each.tag, each.attrib, each.text) for each in root.iter()], root.find("{urn:x}item[@p='4']/c").tail)
ET.SubElement(root, "added", {"é": "<&>"}).text = "ü"
ET.indent(root)
print(ET.tostring(root, encoding="unicode"), ET.canonicalize("<a b='2' a='1'><c></c> </a>"))
print(minidom.parseString("<a><b>1</b><!--x--></a>").toprettyxml(indent=" "))
try:
    ET.fromstring("<a><b></a>")
except ET.ParseError as error:
    print(error, error.position)
old = [f"line {n} {'x' * (n % 7)}" for n in range(40)]
new = [line.replace("x", "y") if n % 11 == 3 else line for n, line in enumerate(old) if n % 13 != 5]
print("\n".join(difflib.unified_diff(old, new, "old", "new", lineterm="", n=1)))
print(difflib.get_close_matches("pythn", ["python", "pithy", "marathon", "typhoon"]), *difflib.ndiff(["abc"], ["abd"]))
matcher = difflib.SequenceMatcher(None, "private Thread currentThread;", "private volatile Thread current;")
print(matcher.ratio(), matcher.get_opcodes())
long = "The quick brown fox — über alles — jumps over the lazy dog. " * 4
print(textwrap.fill(long, 50, initial_indent="* ", subsequent_indent="  "), textwrap.shorten(long, 40))
print(textwrap.dedent("    a\n      b\n    c"), textwrap.indent("x\n\ny", "> "))
print(string.Template("$who owes $$${amount} to ${who}").safe_substitute(who="Ann"), string.capwords("a bC de"))


class Shown(string.Formatter):
    def convert_field(self, value, conversion):
        return value[::-1] if conversion == "x" else super().convert_field(value, conversion)


print(Shown().vformat("{0!x} {a[k]:>8} {0!r:^9}|{b.real:+.2e}", ("abc",), {"a": {"k": 5}, "b": 1234.5}))
for value, spec in ((1234567.891, ",.2f"), (255, "#_x"), (0.000123, "g"), (-5, "=+09d"), ("é", "*^5"), (2**70, "_b")):
    print(f"{value:{spec}}", end=" ")
print(f"{3.14159!r:>12}", f"{'nested':{'>'}{10}}", "{}", f"{1e23:.3}", "{:<8}|{:+.3e}|{:#o}".format("ab", 1234.5, 8))
for text in ("Ǆ", "ﬃ", "Ω", "e\u0301", "٣", "Ⅷ", "\U0001f600", "İ"):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    print(ascii(forms), [unicodedata.category(c) + unicodedata.bidirectional(c) for c in text], ascii(text.lower()))
print(unicodedata.name("ß"), unicodedata.lookup("GREEK SMALL LETTER ALPHA"), unicodedata.numeric("¾"), "ß".casefold())
sample = "naïve Ωmega €5 日本語 \U0001f600"
for name in (
    "utf-8",
    "utf-16-le",
    "utf-7",
    "cp1252",
    "iso8859-15",
    "shift_jis",
    "gb18030",
    "euc_kr",
    "punycode",
    "idna",
):
    try:
        print(name, codecs.encode(sample, name, "xmlcharrefreplace" if name != "idna" else "strict")[:40])
    except (UnicodeError, LookupError) as error:
        print(name, type(error).__name__)
print(b"\xff\xfeab\x80".decode("utf-8", "backslashreplace"), codecs.encode("rot", "rot13"), codecs.encode(b"ab", "hex"))
decoder = codecs.getincrementaldecoder("utf-8")("replace")
print([decoder.decode(bytes([byte])) for byte in "é€".encode() + b"\xc3"], decoder.decode(b"", True))
words = Counter(long.lower().split())
print(words.most_common(3), (words & Counter(fox=2, cat=1)).total(), ChainMap({"a": 1}, {"a": 2, "b": 3})["b"])
ordered = OrderedDict.fromkeys("hello")
ordered.move_to_end("h")
print("".join(ordered), deque(range(9), 4), reprlib.repr([*range(100)]))
pprint.pp({"key": list(range(30)), "nested": {"a": ("x" * 40, "y" * 50), "b": {1, 2, 3}}}, width=70)
print(
    "a,b;c d".translate(str.maketrans(",;", "  ", "d")).split(),
    "tEsT".swapcase(),
    "x".join("abc"),
    ["aXb", ""],
)
