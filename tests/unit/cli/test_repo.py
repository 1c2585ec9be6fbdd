"""``strata repo``: from a key to a plugin that is installed, upgraded, rolled back and gone."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest

from stratavm.cli.main import main
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.repository import PrivateKey, seal
from tests.unit.plugins.guests import ECHO, module

MANIFEST = """plugin = 1
name = "acme.shout"
version = "{}"
module = "shout.wat"
[functions]
echo = "text -> text"
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A home directory of its own, and a plugin in it."""
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "1.0.0")
    return tmp_path


def write(folder, version):
    """The plugin, in a version."""
    (folder / "shout").mkdir(exist_ok=True)
    (folder / "shout/plugin.toml").write_text(MANIFEST.format(version))
    (folder / "shout/shout.wat").write_bytes(module(ECHO))


@pytest.fixture
def strata(user, capsys):
    """Runs a command; gives the code, and what was said on both streams."""

    def run(line: str):
        code = main(["repo", *line.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def key(strata):
    """A key that is trusted for all of acme."""
    code, out, _ = strata("keygen acme --json")
    assert code == 0
    public = json.loads(out)["key"]
    assert strata(f"trust acme {public} --for acme.*")[:2] == (0, "acme may sign acme.*\n")
    return public


def test_a_plugin_goes_from_a_folder_to_a_repository(user, strata, key):
    """Signed here, carried in a folder, added, installed; then the next version, and back."""
    assert strata("sign shout --key acme -o out")[1] == "acme.shout 1.0.0 is in out\n"
    write(user, "1.1.0")
    assert strata("sign shout --key acme --out out --expires 2100-01-31")[0] == 0
    code, out, _ = strata("add out acme.shout 1.0.0")
    assert (code, out) == (0, "acme.shout 1.0.0  signed by acme\n")
    assert strata("install acme.shout")[1] == "acme.shout 1.0.0\n"
    assert strata("upgrade")[1:] == ("", "strata: nothing is newer\n")
    assert "until 2100-" in strata("add out")[1]
    assert strata("upgrade --json acme.shout")[1].count("1.1.0") == 2
    assert strata("installed")[1] == "acme.shout 1.1.0  before: 1.0.0\n"
    assert strata("rollback acme.shout 1")[1] == "acme.shout 1.0.0\n"
    assert strata("pin acme.shout 1.1.0")[1] == "acme.shout 1.1.0 stays\n"
    assert [item["version"] for item in json.loads(strata("list --json")[1])] == ["1.0.0", "1.1.0"]
    assert strata("unpin acme.shout 1.1.0")[0] == 0
    assert strata("gc")[1].startswith("removed 0 packages, 0 files")  # 1.1.0 may be installed again
    assert strata("gc --all")[1].startswith("removed 1 package, 4 files")
    assert strata("verify")[1].endswith("is as it was written, and all of it is signed\n")
    assert strata("remove acme.shout --forget")[1] == "acme.shout is not installed any more\n"
    assert "nothing is installed" in strata("installed")[2]


def test_what_is_signed_without_a_folder_is_added(strata, key):
    """To the repository that is named, or the user's."""
    assert strata("sign shout --key acme")[1] == "acme.shout 1.0.0  signed by acme\n"
    assert strata("sign shout --key acme --repository other")[0] == 0
    assert strata("list --repository other")[1] == "acme.shout 1.0.0  signed by acme\n"


@pytest.mark.parametrize("words", ["list", "installed", "verify", "gc", "install shout"])
def test_a_repository_that_is_named_and_not_there_is_not_made(user, strata, words):
    """It would be a typo; who adds to it makes one."""
    code, out, err = strata(f"{words} --repository nope")
    assert (code, out) == (1, "") and err == "strata: --repository nope: no such folder (hint: check the path)\n"
    assert not (user / "nope").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [("verify --all", "--all is for `strata repo gc`"), ("gc --forget", "--forget is for `strata repo remove`"),
     ("install shout --for x", "--for is for `strata repo trust`"), ("list -o x", "--out is for `strata repo sign`"),
     ("add out --key k", "--key is for `strata repo sign`"),
     ("upgrade --expires 2100-01-01", "--expires is for `strata repo sign`")],
)  # fmt: skip
def test_an_option_of_another_action_is_refused(user, strata, words, said):
    """Before anything is done: who gives it means something by it."""
    code, out, err = strata(words)
    assert (code, out) == (2, "") and err.startswith(f"strata: {said} ")
    assert not (user / ".local").exists()


def test_a_private_key_is_this_users_alone(user, strata):
    """And is not written twice."""
    code, out, _ = strata("keygen acme")
    assert code == 0 and "strata repo trust acme ed25519:" in out
    file = user / ".config/stratavm/keys/acme.key"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o077 == 0
    code, _, err = strata("keygen acme")
    assert code == 1 and json.loads(strata("keygen other --json")[1])["key"] not in err
    assert f"is a key, {PrivateKey.read(file).public}, and stays as it is" in err
    file.chmod(0o644)
    code, _, err = strata(f"sign shout --key {file} -o out")
    assert code == 1 and "found mode 0644" in err and "chmod 600" in err


def test_a_line_that_keygen_prints_can_be_used(user, strata):
    """Where the file of the key is no name for a key, it says where one goes."""
    code, out, _ = strata("keygen ./keys/acme.key")
    line = out.splitlines()[-1].partition("strata repo ")[2].replace("PLUGIN", "acme.*")
    assert code == 0 and line.startswith("trust acme ed25519:")
    assert strata(line)[:2] == (0, "acme may sign acme.*\n")
    assert "strata repo trust NAME ed25519:" in strata("keygen ./Acme")[1]
    for name in ("Acme", "Wé", "a_key!", ".key"):
        code, _, err = strata(f"keygen {name}")
        assert code == 2 and "expected a name such as 'text.shout' of at most 100 characters" in err
    code, _, err = strata("keygen ../" + os.path.basename(user))
    assert code == 1 and "is a folder and stays as it is" in err
    assert sorted(path.name for path in user.rglob("*.key")) == ["acme.key"]


def test_what_is_wrong_is_named_with_what_to_do(user, strata, key):
    """The argument, not the file; the key that there is not; the folder without packages; a plugin that is not here."""
    code, _, err = strata("trust more ed25519:xxx --for shout")
    assert code == 1 and "key more: expected 'ed25519:' and 32 bytes in base64" in err and "trust.json" not in err
    code, _, err = strata("sign shout --key nokey")
    assert code == 1 and "`strata repo keygen nokey` makes it" in err
    code, _, err = strata("add shout")
    assert code == 1 and "expected packages: index.json and blobs, found none; `strata repo sign" in err
    for steps in ("0", "-1", "one"):
        assert strata(f"rollback acme.shout -- {steps}")[::2] == (
            2, f"strata: expected a number of steps, got '{steps}' (hint: 1 is the version before)\n"
        )  # fmt: skip
    code, _, err = strata("rollback acme.shout")
    assert code == 1 and "expected a plugin that is installed, found none of this name" in err
    file = user / ".config/stratavm/trust.json"
    file.write_bytes(file.read_bytes()[:-9])
    code, _, err = strata("keys")
    assert code == 1 and "put back a copy; or remove it, and `strata repo trust` the keys again" in err
    key_file = user / ".config/stratavm/keys/acme.key"
    key_file.write_bytes(key_file.read_bytes()[:20])
    code, _, err = strata("sign shout --key acme")
    assert code == 1 and "expected a private key in PEM, without a password, found 20 bytes that are none" in err


def test_what_a_key_may_sign_is_said_anew(strata, key):
    """Without a moment in which it is trusted for nothing."""
    assert strata(f"trust acme {key} --for acme.* --for shout")[:2] == (0, "acme may sign acme.*, shout\n")
    assert [item["plugins"] for item in json.loads(strata("keys --json")[1])] == [["acme.*", "shout"]]
    assert strata("keygen more")[0] == 0
    code, _, err = strata(f"trust other {key} --for shout")
    assert code == 1 and "each key and each name once" in err


def test_a_version_is_signed_into_a_folder_once(user, strata, key, monkeypatch):
    """A package made later is another one."""
    assert strata("sign shout --key acme -o out")[0] == 0
    monkeypatch.setattr("stratavm.cli.repo.seal", partial(seal, created=2e9))
    code, _, err = strata("sign shout --key acme -o out")
    assert code == 1 and "a new version has a new number" in err
    assert strata("add out")[0] == 0


def test_what_is_signed_is_what_the_manifest_names(user, strata, key):
    """Neither another file than that of its digest, nor an image, of which the module alone would be in the package."""
    text = user / "shout/plugin.toml"
    whole = text.read_text()
    text.write_text(whole.replace("[functions]", f'digest = "sha256:{"0" * 64}"\n[functions]'))
    code, _, err = strata("sign shout --key acme")
    assert code == 1 and f"expected the module sha256:{'0' * 64}, found sha256:" in err
    digest = digest_of((user / "shout/shout.wat").read_bytes())
    text.write_text(whole.replace("[functions]", f'digest = "{digest}"\n[functions]'))
    assert strata("sign shout --key acme")[0] == 0
    assert main(["build", "shout/shout.wat", "-o", "shout/shout.strata"]) == 0
    text.write_text(whole.replace("shout.wat", "shout.strata").replace("1.0.0", "1.1.0"))
    code, _, err = strata("sign shout --key acme")
    assert code == 1 and "found an image; sign the module that it was made of" in err
    assert strata("rollback acme.shout " + "9" * 5000)[0] == 2


def test_who_is_not_trusted_is_not_installed(user, strata, key):
    """And what somebody signed who is not trusted any more is told."""
    strata("sign shout --key acme")
    assert "acme  ed25519:" in strata("keys")[1]
    assert json.loads(strata("keys --json")[1])[0]["plugins"] == ["acme.*"]
    assert strata("install acme.shout")[0] == 0 and strata("installed")[0] == 0
    assert "nothing that it signed is loaded" in strata("distrust acme")[1]
    code, out, err = strata("installed")
    assert (code, out) == (1, "acme.shout 1.0.0  not right\n") and "a signature by a trusted key (none)" in err
    assert "a signature by a trusted key" in json.loads(strata("installed --json")[1])[0]["problem"]
    code, out, err = strata("list")
    assert code == 1 and "acme.shout 1.0.0  not right" in out and "`strata repo trust` pins a key" in err
    code, _, err = strata("install acme.shout")
    assert code == 1 and "expected a signature by a trusted key (none)" in err
    assert "no key is trusted" in strata("keys")[2]


def test_what_is_damaged_is_told(user, strata, key):
    """One line each, or JSON."""
    strata("sign shout --key acme")
    blobs = user / ".local/share/stratavm/plugins/blobs/sha256"
    largest = max(blobs.iterdir(), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")
    code, _, err = strata("verify")
    assert code == 1 and str(largest) in err and "expected sha256:" in err
    code, out, _ = strata("verify --json")
    assert code == 1 and {problem["reason"] for problem in json.loads(out)["problems"]} == {"digest"}
    assert strata("install acme.shout")[0] == 1


def test_what_is_installed_is_run(user, strata, key, capsys):
    """By its name, or with a version that can be rolled back to; checked again each time."""

    def run(line):
        code = main(["plugin", "run", *line.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    strata("sign shout --key acme")
    assert strata("install acme.shout")[0] == 0
    write(user, "1.1.0")
    strata("sign shout --key acme")
    assert strata("upgrade")[1].startswith("acme.shout 1.1.0")
    for name in ("acme.shout", "acme.shout:1.0.0", "acme.shout:1.1.0"):
        assert run(f"--installed {name} echo hello")[:2] == (0, "hello\n")
    code, _, err = run("--installed acme.shout:0.9.0 echo hello")
    assert code == 1 and "expected a version that is installed, found 1.0.0" in err
    where = f"--repository {user}/.local/share/stratavm/plugins --trusted"
    assert run(f"--installed {where} {user}/.config/stratavm/trust.json acme.shout echo hello")[0] == 0
    code, _, err = run(f"--installed {where} {user}/none.json acme.shout echo hello")
    assert code == 1 and "expected a signature by a trusted key (none)" in err
    assert run("--installed acme.shout whisper x")[0] == 2
    strata("distrust acme")
    code, out, err = run("--installed acme.shout echo hello")
    assert (code, out) == (1, "") and "expected a signature by a trusted key (none)" in err


def test_a_repository_that_cannot_be_written_is_read(user, strata, key, capsys, monkeypatch):
    """Listed, verified and run from; no file of its locks is made."""
    strata("sign shout --key acme")
    strata("install acme.shout")
    root = user / ".local/share/stratavm/plugins"
    for name in ("lock", "turn"):
        (root / name).unlink()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))
    assert strata("installed")[1] == "acme.shout 1.0.0\n"
    assert strata("list")[1] == "acme.shout 1.0.0  signed by acme, installed\n"
    assert strata("verify")[0] == 0
    assert main(["plugin", "run", "--installed", "acme.shout", "echo", "hello"]) == 0
    assert capsys.readouterr().out == "hello\n"
    assert not (root / "lock").exists() and not (root / "turn").exists()


WRONG = {
    "trust acme": "strata repo trust NAME KEY --for PLUGIN",
    "trust acme ed25519:AAAA": "--for NAME",
    "sign shout": "--key NAME",
    "install": "strata repo install NAME [VERSION]",
    "rollback acme.shout back": "expected a number of steps, got 'back'",
    "list more": "expected `strata repo list`",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_wrong_says_what_is_expected(strata, line):
    """With the exit code for usage."""
    code, _, err = strata(line)
    assert code == 2 and WRONG[line] in err


def test_a_day_that_is_none_is_refused(strata):
    """By the parser."""
    code, _, err = strata("sign shout --key acme --expires tomorrow")
    assert code == 2 and "expected a day such as 2027-01-31" in err


def test_where_all_is_named_no_home_is_needed(strata, monkeypatch, tmp_path):
    """A service has none."""
    monkeypatch.setenv("HOME", os.path.join(tmp_path, "none"))
    (tmp_path / "r").mkdir(0o700)
    assert strata(f"installed --repository {tmp_path}/r --trusted {tmp_path}/t.json")[0] == 0
    code, _, err = strata("installed")
    assert code == 1 and "set XDG_DATA_HOME" in err
