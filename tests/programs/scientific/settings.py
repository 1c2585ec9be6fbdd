"""Settings of a program: INI and TOML files, arguments, shell words, logs, paths, addresses, versions."""

import argparse
import configparser
import contextlib
import fnmatch
import glob
import io
import ipaddress
import logging
import os.path
import pathlib
import shlex
import tempfile
import tomllib
import urllib.parse
import warnings
from string import Template

config = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation(), converters={"list": str.split})
config.read_string("""\
[DEFAULT]
home = /srv
[paths]
data = ${home}/data
log = ${data}/log:${server:port}
[server]
port = 8_080
hosts = a.example b.example
debug = off
long = one
  two
""")
print({name: dict(config[name]) for name in config.sections() if name != "DEFAULT"})
print(config.getlist("server", "hosts"), config.getboolean("server", "debug"), config.getint("server", "port"))
for bad in ("[a]\nx = 1\nx = 2", "x = 1", "[a\n"):
    try:
        configparser.ConfigParser().read_string(bad)
    except configparser.Error as error:
        print(type(error).__name__, str(error).replace("\n", " "))
found = tomllib.loads("""\
title = "T\\u00e9st"
when = 1979-05-27T07:32:00.5-08:00
day = 2024-02-29
numbers = [0xFF, 1_000, 6.02e23, -inf, 0b101]
[owner.address]
'odd key' = '''raw \\ text'''
[[fruit]]
name = "apple"
[[fruit.kind]]
name = "red"
[[fruit]]
name = "fig"
""")
print(found)
for bad in ("a = 1\na = 2", "a = [1, 2", "a = 01"):
    try:
        tomllib.loads(bad)
    except tomllib.TOMLDecodeError as error:
        print(error)
parser = argparse.ArgumentParser(prog="tool", description="A tool.", epilog="The end.")
parser.add_argument("-v", "--verbose", action="count", default=0, help="say more")
parser.add_argument("--level", choices=["low", "high"], default="low", help="how much (default: %(default)s)")
parser.add_argument("--set", action="append", type=lambda text: tuple(text.split("=", 1)), metavar="K=V", default=[])
commands = parser.add_subparsers(dest="command", required=True)
copy = commands.add_parser("copy", help="copy files")
copy.add_argument("files", nargs="+", type=pathlib.PurePosixPath)
copy.add_argument("--size", type=float, default=1.5)
either = copy.add_mutually_exclusive_group()
either.add_argument("--fast", action="store_true")
either.add_argument("--safe", action=argparse.BooleanOptionalAction)
for line in (
    "-vv --set a=1 --set 'b=x y' copy one 'two words' --size 3e2 --no-safe",
    "--level middle copy x",
    "copy --fast --safe x",
    "copy",
    "",
):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            print(sorted(vars(parser.parse_args(shlex.split(line))).items()))
        except SystemExit as end:
            print(end.code, said.getvalue().splitlines()[-1])
os.environ["COLUMNS"] = "80"
os.environ["NO_COLOR"] = "1"
print(parser.format_help())
print(shlex.split(r"""a 'b c' "d \"e\"" f\ g # no""", comments=True), shlex.join(["x y", "it's", "$z"]))
stream = io.StringIO()
handler = logging.StreamHandler(stream)
handler.setFormatter(logging.Formatter("%(levelname)-8s %(name)s:%(funcName)s:%(message)s"))
log = logging.getLogger("app.part")
log.propagate = False
log.addHandler(handler)
log.setLevel(logging.INFO)
log.addFilter(lambda record: "secret" not in record.getMessage())
log.debug("not seen")
log.info("value %s of %d", {"a": 1}, 7)
log.warning("a secret")
try:
    {}["missing"]
except KeyError:
    log.exception("failed")
print([line for line in stream.getvalue().splitlines() if not line.startswith("  ")])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    print([(each.category.__name__, str(each.message)) for each in caught])
with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    for each in ("a/b/c.py", "a/d.txt", "e.py", "a/b/f.PY", ".hidden"):
        path = root / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template("at $it\n").substitute(it=each))
    print(sorted(path.relative_to(root).as_posix() for path in root.glob("**/*.py")))
    print(sorted(glob.glob("*", root_dir=name)), sorted(glob.glob("**/[cd].*", root_dir=name, recursive=True)))
    print((root / "a/d.txt").read_text(), (root / "e.py").stat().st_size, (root / "a").is_dir(), (root / "z").exists())
    (root / "e.py").rename(root / "g.py")
    (root / "g.py").open("a").write("more\n")
    print((root / "g.py").read_bytes(), sorted(path.name for path in root.iterdir()))
pure = pathlib.PurePosixPath("/a/b/../c.tar.gz")
print(pure.suffixes, pure.stem, pure.parts, pure.with_suffix(".zip"), os.path.normpath(pure), pure.match("*.gz"))
print(pathlib.PureWindowsPath("C:\\a/b").as_posix(), fnmatch.filter(["ab", "aB", "c"], "a[!a-z]"))
network = ipaddress.ip_network("10.20.0.0/22")
print(network.num_addresses, [*network.subnets(new_prefix=24)][1:3], ipaddress.ip_address("10.20.3.9") in network)
print(ipaddress.ip_address("2001:db8::1").exploded, [*ipaddress.collapse_addresses(network.subnets(new_prefix=24))])
url = urllib.parse.urlsplit("https://user:p%40ss@example.org:8443/a/b;c?q=1&q=2&r=%C3%A9#top")
print(url, url.port, urllib.parse.parse_qs(url.query), urllib.parse.urljoin("http://a/b/c/d", "../e?x"))
print(urllib.parse.quote("a b/ü?"), urllib.parse.urlencode({"k": ["1", "2"], "é": "&"}, doseq=True))
