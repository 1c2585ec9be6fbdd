"""Machines: a processor with a stack, a tape machine, an assembler, a Lisp, automata, an LZ packer, Huffman codes."""

import heapq
import random
import re
import sys
import zlib
from collections import Counter, defaultdict
from itertools import count

TAPE = "++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++."


def tape(program, given=b""):
    jumps, stack = {}, []
    for at, sign in enumerate(program):
        if sign == "[":
            stack.append(at)
        elif sign == "]":
            jumps[at] = stack.pop()
            jumps[jumps[at]] = at
    cells, at, here, out, given, steps = bytearray(300), 0, 0, bytearray(), iter(given), 0
    while at < len(program):
        sign = program[at]
        steps += 1
        if sign == ">":
            here += 1
        elif sign == "<":
            here -= 1
        elif sign == "+":
            cells[here] = cells[here] + 1 & 255
        elif sign == "-":
            cells[here] = cells[here] - 1 & 255
        elif sign == ".":
            out.append(cells[here])
        elif sign == ",":
            cells[here] = next(given, 0)
        elif (sign == "[") == (cells[here] == 0):
            at = jumps[at]
        at += 1
    return bytes(out), steps


print(tape(TAPE), tape(",[>+++<-]>.", b"\x1b"), tape(">,[>,]<[.<]", b"reversed"))
SOURCE = """
        push 1
        store acc
        push 20
        store n
loop:   load n
        jz done
        load acc
        load n
        mul
        store acc
        load n
        push 1
        sub
        store n
        jump loop
done:   load acc
        print
        push 10
        call fib
        print
        halt
fib:    dup
        push 2
        sub
        jneg small
        dup
        push 1
        sub
        call fib
        swap
        push 2
        sub
        call fib
        add
small:  ret
"""


def assembled(source):
    code, labels, fixes = [], {}, []
    for line in source.splitlines():
        found = re.fullmatch(r"(?:(\w+):)?\s*(?:(\w+)(?:\s+(\S+))?)?", line)
        label, name, given = found.groups()
        if label:
            labels[label] = len(code)
        if name:
            if name in {"jz", "jneg", "jump", "call"}:
                fixes.append(len(code))
            code.append((name, int(given) if given and given.lstrip("-").isdigit() else given))
    for at in fixes:
        code[at] = code[at][0], labels[code[at][1]]
    return code


def run(code):
    stack, calls, names, at = [], [], {}, 0
    for steps in count():
        name, given = code[at]
        at += 1
        match name:
            case "push":
                stack.append(given)
            case "load":
                stack.append(names[given])
            case "store":
                names[given] = stack.pop()
            case "dup":
                stack.append(stack[-1])
            case "swap":
                stack[-2:] = stack[:-3:-1]
            case "add" | "sub" | "mul":
                b, a = stack.pop(), stack.pop()
                stack.append(a + b if name == "add" else a - b if name == "sub" else a * b)
            case "jump":
                at = given
            case "jz" | "jneg":
                value = stack.pop()
                at = given if (value == 0 if name == "jz" else value < 0) else at
            case "call":
                calls.append(at)
                at = given
            case "ret":
                at = calls.pop()
            case "print":
                yield stack.pop()
            case "halt":
                yield ("steps", steps)
                return


code = assembled(SOURCE)
print(len(code), [*run(code)])


class Lisp:
    def __init__(self):
        self.names = {"+": lambda *a: sum(a), "*": lambda a, b: a * b, "-": lambda a, b: a - b, "<": lambda a, b: a < b}
        self.names |= {"list": lambda *a: [*a], "car": lambda a: a[0], "cdr": lambda a: a[1:], "null?": lambda a: not a}
        self.names |= {"cons": lambda a, b: [a, *b], "=": lambda a, b: a == b}

    @staticmethod
    def read(words):
        word = next(words)
        if word == "(":
            made = []
            while (inner := Lisp.read(words)) != ")":
                made.append(inner)
            return made
        try:
            return int(word)
        except ValueError:
            return word

    def value(self, tree, names):
        while True:
            if isinstance(tree, str):
                return names[tree]
            if not isinstance(tree, list):
                return tree
            match tree:
                case "quote", of:
                    return of
                case "if", condition, then, other:
                    tree = then if self.value(condition, names) else other
                case "define", name, of:
                    names[name] = self.value(of, names)
                    return None
                case "lambda", given, body:
                    return (given, body, names)
                case _:
                    made, *rest = [self.value(each, names) for each in tree]
                    if callable(made):
                        return made(*rest)
                    given, tree, outer = made
                    names = (
                        {**outer, **dict(zip(given, rest, strict=True))}
                        if outer is not self.names
                        else Scope(outer, given, rest)
                    )

    def run(self, text):
        words = iter(re.findall(r"[()]|[^\s()]+", text))
        for _ in range(text.count("\n") + 1):
            last = self.value(self.read(words), self.names)
        return last


class Scope(dict):
    def __init__(self, outer, given, rest):
        super().__init__(zip(given, rest, strict=True))
        self.outer = outer

    def __missing__(self, name):
        return self.outer[name]


print(
    Lisp().run("""(define loop (lambda (n acc) (if (< n 1) acc (loop (- n 1) (+ acc n)))))
(define map (lambda (f x) (if (null? x) (quote ()) (cons (f (car x)) (map f (cdr x))))))
(define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))
(cons (loop 5000 0) (map fib (list 1 5 10 15)))""")
)
made = random.Random(31)
text = "".join(made.choices("abracadabra sim sala bim ", k=6000))
queue = [(n, sign, sign) for sign, n in Counter(text).items()]
heapq.heapify(queue)
while len(queue) > 1:
    a, b = heapq.heappop(queue), heapq.heappop(queue)
    heapq.heappush(queue, (a[0] + b[0], min(a[1], b[1]), (a[2], b[2])))
codes = {}


def name(tree, prefix=""):
    if isinstance(tree, str):
        codes[tree] = prefix
    else:
        name(tree[0], prefix + "0")
        name(tree[1], prefix + "1")


name(queue[0][2])
bits = "".join(codes[sign] for sign in text)
back, at, opened = {code: sign for sign, code in codes.items()}, "", []
for bit in bits:
    at += bit
    if at in back:
        opened.append(back[at])
        at = ""
print(len(bits), "".join(opened) == text, sorted(codes.items())[:4])
table, output, word = {chr(n): n for n in range(256)}, [], ""
for sign in text:
    if word + sign in table:
        word += sign
    else:
        output.append(table[word])
        table[word + sign] = len(table)
        word = sign
print(len(output), zlib.crc32(repr(output).encode()), max(map(len, table)))
row = 1 << 63
for _ in range(60):
    row = sum(1 << n for n in range(128) if 30 >> (row >> n - 1 & 7 if n else row << 1 & 7) & 1)
print(f"{row:0128b}")
chain = defaultdict(Counter)
for a, b, c in zip(text, text[1:], text[2:], strict=False):
    chain[a + b][c] += 1
state = "ab"
for _ in range(60):
    state += made.choices(*zip(*sorted(chain[state[-2:]].items()), strict=True))[0]
print(state, sys.getrefcount(object()) > 0)
