"""The life of packages: added, installed, upgraded, rolled back, pinned, removed, collected, and loaded."""

from __future__ import annotations

import math
import os
import stat
import threading
from contextlib import suppress

import pytest

from stratavm.base.errors import Closed
from stratavm.plugins import Grant, PluginLimits, Plugins, Policy, State
from stratavm.plugins.repository import (
    PackageRefused,
    PrivateKey,
    Repository,
    RepositoryBusy,
    RepositoryDamaged,
    Trust,
    TrustedKey,
    seal,
    write_package,
)
from stratavm.plugins.repository.layout import Layout
from stratavm.plugins.repository.records import MOST_EARLIER
from tests.unit.plugins.repository.shelves import (
    ACME,
    ANOTHER,
    DAY,
    NOW,
    STRANGER,
    TRUST,
    TRUSTED,
    WASM,
    Shelf,
    blob,
    files_of,
    manifest,
    package,
)

GRANT = Grant(limits=PluginLimits(call_s=100))


def test_a_package_is_added_installed_and_loaded(shelf):
    """What is called is the module that was signed; each step is an event."""
    (listed,) = shelf.add(package())
    assert (listed.name, listed.version, listed.key, listed.installed) == ("guest", "1.0.0", "acme", False)
    assert shelf.repository.install("guest").version == "1.0.0"
    with Plugins(Policy({"guest": GRANT})) as plugins:
        plugin = plugins.load_from(shelf.repository, "guest")
        assert plugin.call("echo", "hello") == "hello"
        assert plugin.manifest.digest
    assert shelf.said == ["PackageAdded", "PackageInstalled", "PackageOpened"]


def test_a_plugin_of_a_repository_is_updated_as_it_runs(shelf):
    """The next version is installed, and the running plugin goes on with it."""
    shelf.versions("1.0.0")
    with Plugins(Policy({"guest": GRANT})) as plugins:
        plugin = plugins.load_from(shelf.repository, "guest", "1.0.0")
        shelf.versions("1.1.0")
        found = shelf.repository.package("guest")
        plugin.update_to(found.manifest, found.read())
        assert plugin.manifest.version == "1.1.0"
        assert plugin.call("echo", "hello") == "hello"
        plugin.unload()
        older = plugins.load_from(shelf.repository, "guest", "1.0.0")
        assert older.state is State.ACTIVE


def test_one_that_cannot_be_loaded_is_forgotten(shelf):
    """Its name is free."""
    shelf.versions("1.0.0")
    with Plugins(Policy({})) as plugins:
        with pytest.raises(Exception, match="no grant names it"):
            plugins.load_from(shelf.repository, "guest")
        assert list(plugins) == []


def test_the_newest_release_is_installed_and_pre_releases_where_they_are_named(shelf):
    """As pip does."""
    shelf.add(package("1.0.0"), package("1.10.0"), package("1.9.0"), package("2.0.0-rc.1"))
    assert shelf.repository.install("guest").version == "1.10.0"
    assert shelf.repository.install("guest", "2.0.0-rc.1").version == "2.0.0-rc.1"
    assert shelf.repository.upgrade() == []
    shelf.add(package("2.0.0"))
    assert [found.version for found in shelf.repository.upgrade("guest")] == ["2.0.0"]


def test_a_version_that_nobody_trusts_hides_no_other(tmp_path):
    """Neither where it is installed for the first time, nor by ``upgrade``, of one or of all."""
    from tests.unit.plugins.repository.shelves import OTHER

    file = tmp_path / "config/trust.json"
    both = TrustedKey("other", OTHER.public, ("guest", "acme.*"))
    TRUST.without("other").adding(both).save(file)
    shelf = Shelf(tmp_path, trust=file)
    shelf.add(package("1.0.0"), package("9.0.0", key=OTHER))
    shelf.add(package("1.0.0", "acme.a", key=OTHER), package("1.0.0", "acme.b"), package("1.1.0", "acme.b"))
    shelf.repository.install("acme.a")
    shelf.repository.install("acme.b", "1.0.0")
    shelf.add(package("2.0.0", "acme.a", key=OTHER))
    TRUST.without("other").save(file)
    assert shelf.repository.install("guest").version == "1.0.0"
    shelf.add(package("1.1.0"))
    assert [found.version for found in shelf.repository.upgrade("guest")] == ["1.1.0"]
    with pytest.raises(PackageRefused, match="a trusted key"):
        shelf.repository.upgrade()
    assert [(i.name, i.version) for i in shelf.repository.installed()] == [
        ("acme.a", "1.0.0"), ("acme.b", "1.1.0"), ("guest", "1.1.0")
    ]  # fmt: skip
    shelf.repository.close()


def test_what_is_damaged_is_mended_by_adding_it_again(shelf):
    """``verify`` says which file, and who needs it."""
    shelf.versions("1.0.0")
    module = blob(shelf.folder / "repository", WASM)
    module.write_bytes(WASM[:-1] + b"!")
    (problem,) = shelf.repository.verify()
    assert problem.what == str(module) and "needed by guest 1.0.0" in problem.said
    assert "`strata repo add`, from where it came, writes it again" in problem.said
    shelf.repository.add(shelf.folder / "source1")
    assert shelf.repository.verify() == []
    assert shelf.repository.package("guest").read() == WASM


def test_folders_where_files_should_be_do_not_stop_gc(shelf):
    """They stay; ``verify`` tells of them."""
    shelf.versions("1.0.0")
    (shelf.folder / "repository/blobs/sha256" / ("0" * 64)).mkdir()
    (shelf.folder / "repository/blobs/sha256/.aside-1").mkdir()
    shelf.repository.gc()
    assert [problem.reason for problem in shelf.repository.verify()] == ["file"]


def test_steps_go_back_and_forward(shelf):
    """One step, then further; what was rolled back from is no upgrade by itself, but may be named."""
    shelf.versions("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    assert shelf.repository.roll_back("guest").version == "1.2.0"
    assert shelf.repository.roll_back("guest", 2).version == "1.0.0"
    assert shelf.repository.upgrade() == []
    found = shelf.repository.install("guest", "1.3.0")
    assert (found.version, found.earlier, found.highest) == ("1.3.0", ("1.0.0",), "1.3.0")
    assert shelf.repository.package("guest", "1.0.0").manifest.version == "1.0.0"
    with pytest.raises(ValueError, match="from 1 on"):
        shelf.repository.roll_back("guest", 0)
    with pytest.raises(PackageRefused, match="expected 2 earlier versions, found 1: "):
        shelf.repository.roll_back("guest", 2)


def test_what_is_installed_already_stays(shelf):
    """Nothing happens, and nothing is said."""
    shelf.versions("1.0.0")
    before, _ = files_of(shelf.folder / "repository"), shelf.said
    assert shelf.repository.install("guest").version == "1.0.0"
    assert files_of(shelf.folder / "repository") == before
    assert shelf.said == []


def test_history_is_bounded(shelf):
    """The oldest go."""
    shelf.versions(*(f"1.{minor}.0" for minor in range(MOST_EARLIER + 3)))
    (found,) = shelf.repository.installed()
    assert len(found.earlier) == MOST_EARLIER
    assert found.earlier[0] == "1.2.0"


def versions_of(repository):
    return [(package.name, package.version) for package in repository.packages()]


def test_gc_keeps_what_is_installed_earlier_or_pinned(shelf):
    """And with ``every`` nothing else: not a byte."""
    shelf.versions("1.0.0", "1.1.0")
    shelf.add(package("1.2.0"), package("1.3.0"), package("1.0.0", "acme.more", module=ANOTHER))
    shelf.repository.pin("guest", "1.3.0")
    shelf.repository.pin("guest", "1.3.0")
    found = shelf.repository.gc(every=True)
    assert found.packages == 2 and found.bytes > len(ANOTHER)
    assert versions_of(shelf.repository) == [("guest", version) for version in ("1.0.0", "1.1.0", "1.3.0")]
    assert shelf.repository.verify() == []
    assert shelf.repository.gc(every=True) == (0, 0, 0)
    shelf.repository.unpin("guest", "1.3.0")
    shelf.repository.remove("guest")
    assert shelf.repository.gc(every=True).packages == 3
    assert not list((shelf.folder / "repository/blobs/sha256").iterdir())
    with pytest.raises(PackageRefused, match="a pinned version"):
        shelf.repository.unpin("guest", "1.3.0")


def test_gc_takes_away_nothing_that_somebody_added_to_install_it(shelf):
    """Whoever collects in between: a new plugin, the next version, the one that was rolled back from; all that can be
    installed without being pinned."""
    shelf.add(package("1.0.0"))
    assert shelf.repository.gc() == (0, 0, 0)
    shelf.repository.install("guest", "1.0.0")
    shelf.add(package("1.2.0-rc.1"), package("1.2.0"))
    assert shelf.repository.gc() == (0, 0, 0)
    shelf.repository.install("guest", "1.2.0")
    shelf.repository.roll_back("guest")
    assert shelf.repository.gc().packages == 1  # 1.2.0-rc.1 is below 1.2.0, which was installed
    assert shelf.repository.install("guest").version == "1.2.0"
    assert shelf.repository.gc() == (0, 0, 0)


def test_gc_removes_what_can_never_be_installed(shelf):
    """What is below the highest version that ever was, unless it is pinned; of a plugin that was removed also that one.
    What is above it stays, and all of a plugin that was forgotten."""
    shelf.versions("1.0.0", "1.2.0")
    shelf.add(package("0.9.0"), package("1.1.0"), package("1.3.0"))
    shelf.repository.pin("guest", "0.9.0")
    assert shelf.repository.gc().packages == 1
    assert versions_of(shelf.repository) == [("guest", v) for v in ("0.9.0", "1.0.0", "1.2.0", "1.3.0")]
    shelf.repository.remove("guest")
    assert shelf.repository.gc().packages == 2
    assert versions_of(shelf.repository) == [("guest", "0.9.0"), ("guest", "1.3.0")]
    shelf.repository.unpin("guest", "0.9.0")
    shelf.repository.remove("guest", forget=True)
    assert shelf.repository.gc() == (0, 0, 0)
    assert shelf.repository.install("guest", "0.9.0").version == "0.9.0"
    assert shelf.repository.verify() == []


def test_gc_removes_another_package_of_the_highest_version(shelf):
    """It would be refused as a replay."""
    shelf.versions("1.0.0")
    shelf.repository.remove("guest")
    assert shelf.repository.gc().packages == 1
    shelf.add(package("1.0.0", module=ANOTHER))
    assert versions_of(shelf.repository) == [("guest", "1.0.0")]
    assert shelf.repository.gc().packages == 1 and versions_of(shelf.repository) == []


def test_a_package_that_waits_and_is_damaged_stops_gc(shelf):
    """Until it is added again, or ``every`` takes it."""
    shelf.versions("1.0.0")
    shelf.add(package("1.1.0"))
    image = blob(shelf.folder / "repository", package("1.1.0").image)
    image.write_bytes(b"{}")
    before = files_of(shelf.folder / "repository")
    with pytest.raises(RepositoryDamaged, match="`strata repo add`, from where it came"):
        shelf.repository.gc()
    assert files_of(shelf.folder / "repository") == before
    assert shelf.repository.gc(every=True).packages == 1
    assert shelf.repository.verify() == []


def test_without_its_index_a_repository_has_what_is_installed(shelf):
    """Records name all that they need."""
    shelf.versions("1.0.0")
    (shelf.folder / "repository/index.json").unlink()
    assert shelf.repository.packages() == []
    shelf.repository.gc()
    assert shelf.repository.package("guest").manifest.version == "1.0.0"
    assert shelf.repository.verify() == []


def test_who_removes_a_plugin_leaves_its_highest_version(shelf):
    """So that an old one does not come back; ``forget`` is a word of its own."""
    shelf.versions("1.0.0", "1.1.0")
    shelf.repository.remove("guest")
    assert shelf.repository.installed() == []
    with pytest.raises(PackageRefused, match="a version that is installed"):
        shelf.repository.package("guest")
    with pytest.raises(PackageRefused, match=r"a version above 1\.1\.0.*`strata repo remove --forget guest`, and any"):
        shelf.repository.install("guest", "1.0.0")
    for step in (shelf.repository.remove, shelf.repository.roll_back):
        with pytest.raises(PackageRefused, match="a plugin that is installed"):
            step("guest")
    shelf.repository.remove("guest", forget=True)
    assert shelf.repository.install("guest", "1.0.0").version == "1.0.0"


def test_who_publishes_signs_and_adds(shelf):
    """What is published does not change; its key must be trusted here."""
    listed = shelf.repository.publish(manifest(), WASM, ACME, expires=NOW + DAY)
    assert listed.expires == "2027-01-16T08:00:00Z"
    assert shelf.repository.install("guest").version == "1.0.0"
    with pytest.raises(PackageRefused, match="a version that is not here yet"):
        shelf.repository.publish(manifest(), ANOTHER, ACME)


def test_one_package_of_many_is_taken(shelf, tmp_path):
    """By name and version; others may be by anybody."""
    write_package(tmp_path / "many", [package("1.0.0"), package("1.1.0"), package("1.0.0", "evil", key=STRANGER)])
    with pytest.raises(PackageRefused, match="a signature by a trusted key"):
        shelf.repository.add(tmp_path / "many")
    assert shelf.repository.packages() == []
    assert [p.version for p in shelf.repository.add(tmp_path / "many", "guest", "1.1.0")] == ["1.1.0"]
    with pytest.raises(PackageRefused, match="a signature by a trusted key"):
        shelf.repository.add(tmp_path / "many", "evil")
    write_package(tmp_path / "one", [package("1.0.0")])
    with pytest.raises(PackageRefused, match=r"expected guest 3\.0\.0 in its index"):
        shelf.repository.add(tmp_path / "one", "guest", "3.0.0")
    assert [p.version for p in shelf.repository.add(shelf.folder / "one")] == ["1.0.0"]


def test_a_package_is_signed_by_more_than_one_key(shelf, tmp_path):
    """Either will do."""
    from stratavm.plugins.repository.artifact import IMAGE, SIGNATURE, Descriptor, signature_of
    from stratavm.plugins.repository.layout import Named
    from stratavm.plugins.repository.signing import envelope
    from tests.unit.plugins.repository.shelves import lay

    good = package()
    source = lay(tmp_path / "source", good._replace(envelope=envelope(good.image, STRANGER)))
    with pytest.raises(PackageRefused, match="a trusted key"):
        shelf.repository.add(source)
    with Layout(source) as layout:
        artifact = signature_of(good.image, Descriptor.of(SIGNATURE, good.envelope))
        layout.put(good.envelope)
        layout.put(artifact)
        image = Descriptor.of(IMAGE, good.image)
        layout.write_entries([*layout.entries(), Named(Descriptor.of(IMAGE, artifact), True, image.digest)])
    assert shelf.repository.add(source)[0].key == "acme"


def test_what_is_pinned_is_a_version(shelf):
    """Also where none is named: the newest release; the record can be read again."""
    shelf.versions("1.0.0")
    shelf.add(package("1.1.0"))
    shelf.repository.pin("guest", None)
    assert [found.pinned for found in shelf.repository.installed()] == [("1.1.0",)]


def test_what_is_pinned_stays_where_a_plugin_is_forgotten(shelf):
    """``gc`` leaves it; any version may be installed."""
    shelf.versions("1.0.0", "1.1.0")
    shelf.repository.pin("guest", "1.0.0")
    shelf.repository.remove("guest", forget=True)
    assert shelf.repository.gc(every=True).packages == 1
    (listed,) = shelf.repository.packages()
    assert listed.version == "1.0.0" and listed.pinned
    found = shelf.repository.install("guest", "1.0.0")
    assert (found.highest, found.pinned, found.earlier) == ("1.0.0", ("1.0.0",), ())


def test_a_release_that_expired_hides_no_other(shelf):
    """The newest that may be installed is; only where there is none is it an error."""
    shelf.versions("1.0.0")
    shelf.add(package("1.1.0"), package("1.2.0", expires=NOW + DAY))
    shelf.now += 2 * DAY
    assert [found.version for found in shelf.repository.upgrade()] == ["1.1.0"]
    with pytest.raises(PackageRefused, match=r"a package that expired at .*; ask who signed it for a newer one"):
        shelf.repository.upgrade()


def test_gc_counts_what_went(shelf):
    """Neither folders, which stay, nor what writers left; an empty file counts."""
    shelf.versions("1.0.0")
    blobs = shelf.folder / "repository/blobs/sha256"
    (blobs / ("0" * 64)).mkdir()
    (blobs / ("1" * 64)).write_bytes(b"")
    (blobs / ".aside-1").write_bytes(b"12345")
    assert shelf.repository.gc() == (0, 1, 5)


def test_who_adds_holds_nobody_up_while_he_looks(shelf):
    """What comes from strangers may take long to be looked at."""
    done = []

    class Looking(Trust):
        """Says when a signature is looked at."""

        def signers(self, *given):
            with Repository(shelf.repository.path, TRUST, patience_s=0) as other:
                done.append(other.gc())
            return super().signers(*given)

    write_package(shelf.folder / "out", [package("1.0.0"), package("1.1.0")])
    with Repository(shelf.repository.path, Looking(TRUST), patience_s=0) as repository:
        assert len(repository.add(shelf.folder / "out")) == 2
    assert done == [(0, 0, 0)] * 2


def test_a_new_repository_outlives_a_loss_of_power(tmp_path, monkeypatch):
    """Each folder that has something new in it is flushed before anybody relies on it."""
    flushed, real = [], os.fsync

    def fsync(number):
        flushed.append(os.readlink(f"/proc/self/fd/{number}"))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    Repository(tmp_path / "repository", TRUST).close()
    assert str(tmp_path / "repository/blobs") in flushed and flushed[-1] == str(tmp_path / "repository")


def test_what_is_written_is_flushed_before_it_has_its_name_and_the_folder_after(shelf, monkeypatch):
    """Each blob, the index and the record."""
    shelf.add(package("1.0.0"))
    calls, real = [], os.rename

    def fsync(number):
        path = os.readlink(f"/proc/self/fd/{number}")
        calls.append("file" if os.path.basename(path).startswith(".aside-") else "folder")

    def rename(*given, **named):
        calls.append("rename")
        real(*given, **named)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    shelf.repository.add(shelf.folder / "source1")
    assert calls == [], "all of it is there"
    shelf.repository.install("guest")
    assert calls == ["file", "rename", "folder"]
    shelf.repository.publish(manifest("1.1.0"), WASM, ACME)
    assert len(calls) > 12 and calls == ["file", "rename", "folder"] * (len(calls) // 3)


def test_close_waits_for_steps_of_other_threads(shelf):
    """One that is under way ends as if nothing were; one that waits for its turn does not get it."""
    inside, go_on, ended = threading.Event(), threading.Event(), []

    def clock():
        inside.set()
        assert go_on.wait(100)
        return NOW

    repository = Repository(shelf.repository.path, TRUST, clock=clock, patience_s=100)

    def publish():
        ended.append(repository.publish(manifest(), WASM, ACME).version)

    def wait():
        with pytest.raises(Closed):
            repository.packages()
        ended.append("closed")
        go_on.set()

    def close():
        repository.close()
        ended.append("end")

    threads = [threading.Thread(target=publish)]
    threads[0].start()
    assert inside.wait(100)
    for target in (wait, close):  # the second of them ends the first one, in whatever order they come
        threads.append(threading.Thread(target=target))
        threads[-1].start()
    for thread in threads:
        thread.join(100)
    assert ended[0] == "closed" and sorted(ended[1:]) == ["1.0.0", "end"]
    assert [listed.version for listed in shelf.repository.packages()] == ["1.0.0"]


def test_who_closes_in_a_step_of_his_own_does_not_wait_for_himself(shelf):
    """As a handler of a signal may; the step ends with what is the matter."""
    closed = []

    def clock():
        repository.close()
        closed.append(True)
        return NOW

    repository = Repository(shelf.repository.path, TRUST, clock=clock)
    with pytest.raises(Closed):
        repository.publish(manifest(), WASM, ACME)
    assert closed == [True]
    assert shelf.repository.packages() == [] and shelf.repository.verify() == []


def test_what_only_counts_as_true_or_as_a_number_is_refused(shelf):
    """Else "no" would remove all, or let any version in, and a busy repository would be waited for without an end."""
    shelf.repository.take(package("1.0.0"))
    shelf.repository.install("guest")
    for call in (
        lambda: shelf.repository.gc(every="no"),
        lambda: shelf.repository.remove("guest", forget="no"),
        lambda: Repository(shelf.repository.path, Trust(), read_only="no"),
    ):
        with pytest.raises(TypeError, match="must be True or False, got 'no'"):
            call()
    with pytest.raises(ValueError, match="patience_s must be a number of seconds, got nan"):
        Repository(shelf.repository.path, Trust(), patience_s=math.nan)
    assert [found.name for found in shelf.repository.installed()] == ["guest"]


@pytest.mark.parametrize("moment", [math.nan, math.inf, -1.0, 1e12, "2027", True])
def test_a_package_expires_on_a_day_that_can_be_written(moment):
    """Another one is refused by its name, before something is signed."""
    with pytest.raises((TypeError, ValueError), match="expires must be"):
        seal(manifest(), WASM, ACME, expires=moment)


def test_who_upgrades_what_is_not_installed_is_told(shelf):
    """A name that was mistyped is not taken for one of which there is nothing newer."""
    with pytest.raises(PackageRefused, match="gest: expected a plugin that is installed, found none"):
        shelf.repository.upgrade("gest")


def test_a_file_of_trusted_keys_is_read_at_each_step(tmp_path):
    """A key that is not trusted any more ends what it signed."""
    file = tmp_path / "config/trust.json"
    TRUST.save(file)
    shelf = Shelf(tmp_path, trust=file)
    shelf.versions("1.0.0")
    TRUST.without("acme").save(file)
    with pytest.raises(PackageRefused, match="a trusted key"):
        shelf.repository.package("guest")
    assert [p.problem.partition(":")[0] for p in shelf.repository.packages()] == ["guest 1.0.0"]
    TRUST.without("acme").adding(TrustedKey("acme", ACME.public, ("acme.*",))).save(file)
    with pytest.raises(PackageRefused, match="a key that may sign guest, found one by acme, which may sign"):
        shelf.repository.package("guest")
    TRUST.save(file)
    assert shelf.repository.package("guest")
    shelf.repository.close()


def test_a_policy_is_asked_before_something_is_installed(tmp_path):
    """It must be granted what it asks for; digests of grants are those of modules."""
    policy = Policy({"guest": Grant(capabilities=["log"])})
    shelf = Shelf(tmp_path, policy=policy)
    shelf.add(package("1.0.0", capabilities=["log"]), package("1.1.0", capabilities=["log", "kv"]))
    assert shelf.repository.install("guest", "1.0.0")
    with pytest.raises(PackageRefused, match="expected only what the policy grants, found that it asks for kv, which"):
        shelf.repository.install("guest", "1.1.0")
    shelf.add(package("1.0.0", "acme.more"))
    with pytest.raises(PackageRefused, match="a grant that names it"):
        shelf.repository.install("acme.more")
    shelf.repository.close()
    digest = "sha256:" + "0" * 64
    strict = Repository(tmp_path / "repository", TRUST, policy=Policy({"acme.more": Grant(digests=[digest])}))
    with strict, pytest.raises(PackageRefused, match="which the grant does not name"):
        strict.install("acme.more")


def test_listeners_may_use_the_repository(shelf):
    """Events are said when nobody is inside."""
    found = []
    from stratavm.plugins.repository.events import PackageInstalled

    shelf.bus.subscribe(PackageInstalled, lambda event: found.append(shelf.repository.package(event.plugin)))
    shelf.versions("1.0.0")
    assert [package.manifest.version for package in found] == ["1.0.0"]


def test_what_is_refused_is_an_event(shelf):
    """With the step, the package and the reason."""
    with pytest.raises(PackageRefused):
        shelf.repository.install("guest", "1.0.0")
    (event,) = shelf.events.events
    assert (event.step, event.package, event.reason) == ("install", "guest 1.0.0", "absent")


def test_another_writer_is_waited_for_with_an_end(shelf):
    """Readers go together."""
    impatient = Repository(shelf.repository.path, TRUST, patience_s=0.05)
    with Layout(shelf.repository.path) as other:
        with other.locked(True, 1), pytest.raises(RepositoryBusy, match="expected a turn"):
            impatient.packages()
        with other.locked(False, 1):
            assert impatient.packages() == []
            with pytest.raises(RepositoryBusy):
                impatient.gc()
    impatient.close()
    with pytest.raises(Closed):
        impatient.packages()


def test_threads_take_turns(shelf):
    """All packages are there in the end."""
    published, wrong = [], []

    def publish(number):
        try:
            published.append(shelf.repository.publish(manifest(f"2.{number}.0"), WASM, ACME).version)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(published) == 8
    assert [listed.version for listed in shelf.repository.packages()] == sorted(published)
    assert shelf.repository.verify() == []


def test_files_are_of_this_user_alone(shelf):
    """Whatever the umask says."""
    shelf.versions("1.0.0")
    for place, folders, files in os.walk(shelf.repository.path):
        for name in (*folders, *files):
            assert stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode) & 0o077 == 0


def test_who_changes_a_file_of_trusted_keys_does_it_alone(tmp_path):
    """Else a key that one took out would be put back by another, who had read the file before."""
    file, changed = tmp_path / "config/trust.json", threading.Event()
    TRUST.save(file)
    more = TrustedKey("more", STRANGER.public, ("more",))

    def other():
        Trust.change(file, lambda trust: trust.adding(more))
        changed.set()

    thread = threading.Thread(target=other)

    def how(trust):
        thread.start()
        with pytest.raises(RepositoryBusy, match="a turn to change it"):
            Trust.change(file, lambda trust: trust, wait_s=0.05)
        assert not changed.is_set()
        return trust.without("acme")

    Trust.change(file, how)
    thread.join(100)
    assert [key.name for key in Trust.read(file)] == ["other", "more"]
    Trust.change(tmp_path / "new/trust.json", lambda trust: trust.adding(more))
    assert list(Trust.read(tmp_path / "new/trust.json")) == [more]


def test_trust_says_who_it_is():
    """And names and keys are there once."""
    assert repr(TRUST) == "<Trust in 2 keys: acme, other>"
    assert TRUSTED.may_sign("acme.text.shout") and not TRUSTED.may_sign("acmetext") and not TRUSTED.may_sign("acme")
    assert TrustedKey("all", ACME.public, ("*",)).may_sign("anything")
    assert len(Trust([TRUSTED])) == 1


def test_the_lock_is_free_behind_a_step_that_somebody_forked_in(shelf):
    """A copy of its descriptor, as a child has it, does not hold it."""
    copies = []

    def clock():
        lock = os.stat(os.path.join(shelf.repository.path, "lock"))
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(number)), lock):
                    copies.append(os.dup(int(number)))
        return NOW

    with Repository(shelf.repository.path, TRUST, clock=clock, patience_s=0) as repository:
        repository.publish(manifest(), WASM, ACME)
        assert copies
        assert repository.install("guest").version == "1.0.0"
    for number in copies:
        os.close(number)


SEALED = package()
KINDS = {
    "path": (lambda shelf: Repository(5, TRUST), "a path, got 5"),
    "trust": (lambda shelf: Repository(shelf.repository.path, 5), "a Trust, or the path of its file, got 5"),
    "policy": (lambda shelf: Repository(shelf.repository.path, TRUST, policy={}), "a Policy, got {}"),
    "bus": (lambda shelf: Repository(shelf.repository.path, TRUST, bus=print), "a Bus, got <built-in function print>"),
    "clock": (lambda shelf: Repository(shelf.repository.path, TRUST, clock=5), "a function that gives seconds, got 5"),
    "source": (lambda shelf: shelf.repository.add(b"x"), "a path, got b'x'"),
    "name": (lambda shelf: shelf.repository.add(shelf.folder, 5), "text, got 5"),
    "manifest": (lambda shelf: shelf.repository.publish({}, WASM, ACME), "a Manifest, got {}"),
    "module": (lambda shelf: shelf.repository.publish(manifest(), "x", ACME), "the bytes of a binary, got 'x'"),
    "key": (lambda shelf: seal(manifest(), WASM, "acme"), "a PrivateKey, got 'acme'"),
    "sealed": (lambda shelf: shelf.repository.take(b"x"), "a Sealed, such as `seal` makes, got b'x'"),
    "sealed.module": (lambda shelf: shelf.repository.take(SEALED._replace(module="x")), "bytes, got 'x'"),
    "packages": (lambda shelf: write_package(shelf.folder / "out", [1]), "a Sealed, such as `seal` makes, got 1"),
    "version": (lambda shelf: shelf.repository.install("guest", []), "the text of a version, got []"),
    "keys": (lambda shelf: Trust([5]), "TrustedKey objects, got 5"),
    "key of trust": (lambda shelf: TRUST.adding("acme"), "a TrustedKey, got 'acme'"),
    "path of trust": (lambda shelf: Trust.read(5), "a path, got 5"),
    "path of key": (lambda shelf: PrivateKey.read(5), "a path, got 5"),
    "how": (lambda shelf: Trust.change(shelf.folder / "t", 5), "a function of a Trust that gives one, got 5"),
    "what how gives": (lambda shelf: Trust.change(shelf.folder / "t", lambda trust: None), "a Trust, got None"),
}


@pytest.mark.parametrize("case", KINDS)
def test_what_is_of_another_kind_is_refused_by_the_name_of_its_parameter(shelf, case):
    """And not by what fails first inside; nothing has changed."""
    attempt, words = KINDS[case]
    with pytest.raises(TypeError) as refused:
        attempt(shelf)
    assert str(refused.value) == f"{case.partition(' of ')[0]} must be {words}"
    assert shelf.repository.packages() == [] and not (shelf.folder / "out").exists()
