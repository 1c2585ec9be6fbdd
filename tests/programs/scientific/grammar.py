"""A language: a lexer by regular expressions, a parser, an evaluator and a compiler to Python's own trees."""

import ast
import dis
import io
import math
import operator
import re
import tokenize

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|<=|>=|==|[-+*/%()<>=,?:]))"
)
LEVELS = [{"==", "<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"}]
DOES = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "%": "mod", "**": "pow", "<": "lt", ">": "gt"}
DOES |= {"==": "eq", "<=": "le", ">=": "ge"}
TREES = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "%": ast.Mod, "**": ast.Pow}
COMPARES = {"<": ast.Lt, ">": ast.Gt, "==": ast.Eq, "<=": ast.LtE, ">=": ast.GtE}


def tokens(text):
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if found is None:
            raise SyntaxError(f"cannot read {text[at : at + 5]!r} at {at}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
    yield "end", ""


class Parser:
    def __init__(self, text):
        self.all = list(tokens(text))
        self.at = 0

    def taken(self, *signs):
        if self.all[self.at][1] in signs and self.all[self.at][0] == "sign":
            self.at += 1
            return self.all[self.at - 1][1]
        return None

    def whole(self):
        tree = self.choice()
        if self.all[self.at][0] != "end":
            raise SyntaxError(f"{self.all[self.at][1]!r} is left")
        return tree

    def choice(self):
        tree = self.level(0)
        if self.taken("?"):
            then = self.choice()
            if not self.taken(":"):
                raise SyntaxError("expected ':'")
            return ("if", tree, then, self.choice())
        return tree

    def level(self, number):
        if number == len(LEVELS):
            return self.power()
        tree = self.level(number + 1)
        while sign := self.taken(*LEVELS[number]):
            tree = (sign, tree, self.level(number + 1))
        return tree

    def power(self):
        if self.taken("-"):
            return ("neg", self.power())
        tree = self.atom()
        return ("**", tree, self.power()) if self.taken("**") else tree

    def atom(self):
        kind, text = self.all[self.at]
        self.at += 1
        if kind == "number":
            return ("number", float(text) if re.search(r"[.eE]", text) else int(text))
        if kind == "name":
            if not self.taken("("):
                return ("name", text)
            given = []
            while not self.taken(")"):
                given.append(self.choice())
                self.taken(",")
            return ("call", text, *given)
        if text == "(":
            tree = self.choice()
            if not self.taken(")"):
                raise SyntaxError("expected ')'")
            return tree
        raise SyntaxError(f"did not expect {text or 'the end'!r}")


def value(tree, names):
    match tree:
        case "number", known:
            return known
        case "name", name:
            return names[name]
        case "call", name, *given:
            return getattr(math, name)(*(value(each, names) for each in given))
        case "neg", of:
            return -value(of, names)
        case "if", condition, then, other:
            return value(then if value(condition, names) else other, names)
        case sign, left, right:
            return getattr(operator, DOES[sign])(value(left, names), value(right, names))


def compiled(tree):
    match tree:
        case "number", known:
            return ast.Constant(known)
        case "name", name:
            return ast.Name(name, ast.Load())
        case "call", name, *given:
            return ast.Call(ast.Name(name, ast.Load()), [compiled(each) for each in given])
        case "neg", of:
            return ast.UnaryOp(ast.USub(), compiled(of))
        case "if", condition, then, other:
            return ast.IfExp(*map(compiled, (condition, then, other)))
        case sign, left, right if sign in COMPARES:
            return ast.Compare(compiled(left), [COMPARES[sign]()], [compiled(right)])
        case sign, left, right:
            return ast.BinOp(compiled(left), TREES[sign](), compiled(right))


names = {"x": 3, "y": -2.5, "größe": 7}
for text in (
    "1 + 2 * 3 ** 2 ** 2 - -4",
    "x > y ? sqrt(x * x + y * y) : nothing",
    "gcd(462, 1071) % größe / 2e1",
    "(x == 3) + (y <= x) * 2",
    "hypot(3, 4, 12) + log(8, 2) + comb(40, 20)",
    "-x ** 2 - 2 - 3",
):
    tree = Parser(text).whole()
    made = ast.fix_missing_locations(ast.Expression(compiled(tree)))
    found = eval(compile(made, "<made>", "eval"), vars(math) | names)
    assert found == value(tree, names)
    print(text, "=", repr(found), "|", ast.unparse(made), len(str(tree)))
for bad in ("1 +", "(2", "a b", "3 $ 4", "x ? 1", ")"):
    try:
        Parser(bad).whole()
    except SyntaxError as error:
        print(repr(bad), error)
source = "def f(a, *, b=2):\n    return [a ** n for n in range(b) if n % 2]  # odd\n"
print([(token.type, token.string) for token in tokenize.generate_tokens(io.StringIO(source).readline)][:12])
print(sorted({step.opname for step in dis.get_instructions(compile("x = a if b else c", "<a>", "exec"))})[:4])


class Folds(ast.NodeTransformer):
    def visit_BinOp(self, node):
        self.generic_visit(node)
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            return ast.copy_location(ast.Constant(eval(compile(ast.Expression(node), "<fold>", "eval"))), node)
        return node


print(ast.unparse(Folds().visit(ast.parse("y = 2 * 3 + x * (7 - 4) ** 2"))))
print(ast.dump(ast.parse("async def g():\n    await h(*a, **k)").body[0], indent=None)[:150])
