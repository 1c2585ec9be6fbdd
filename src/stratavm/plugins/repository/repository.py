"""``Repository``: signed packages of plugins in a folder; which version of each is installed, and which were."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from stratavm.base.closing import Closing
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, replace
from stratavm.base.keywords import checks_keywords
from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.plugins.manifest import A_NAME, Manifest, digest_of, is_name
from stratavm.plugins.ranges import precedence
from stratavm.plugins.repository import events
from stratavm.plugins.repository.artifact import (
    IMAGE,
    NOTHING,
    SIGNATURE,
    Descriptor,
    Sealed,
    contents_of,
    parts_of,
    seal,
    signed_by,
    written_time,
)
from stratavm.plugins.repository.errors import PackageRefused, RepositoryError
from stratavm.plugins.repository.inspection import Inspection
from stratavm.plugins.repository.layout import BLOBS, PLUGINS, Layout
from stratavm.plugins.repository.records import MOST_BYTES, MOST_PINNED, Entry, Record
from stratavm.plugins.repository.results import Collected, Installed, Listed, Problem
from stratavm.plugins.repository.shelf import (
    Opened,
    Pair,
    check_version,
    open_entry,
    open_pair,
    pairs,
    put,
    reachable,
    read_module,
    sealed_in,
)
from stratavm.plugins.repository.trust import Trust
from stratavm.plugins.sources import Package

if TYPE_CHECKING:
    from stratavm.base.events.core import Bus, Event
    from stratavm.plugins.policy import Policy
    from stratavm.plugins.repository.signing import PrivateKey

Say: TypeAlias = "Callable[..., None]"
ENDING: Final = ".json"
PATIENCE_S: Final = 30.0


class Repository(Closing):
    """Packages in a folder of this user's; from several processes and threads, one writer at a time.

    Args:
        path: the folder; made where there is none.
        trust: the keys that count: a ``Trust``, or the file of one, which is read at each step.
        policy: what is installed must be granted what it asks for; None: whoever loads it asks.
        bus: where events go.
        clock: seconds since the epoch; tests give their own.
        patience_s: how long to wait for another process.

    Raises:
        OSError, StrataError: the folder cannot be made or used.
    """

    @checks_keywords
    def __init__(
        self,
        path: str | os.PathLike[str],
        trust: Trust | str | os.PathLike[str],
        *,
        policy: Policy | None = None,
        bus: Bus | None = None,
        clock: Callable[[], float] = time.time,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._trust, self._policy = trust, policy
        self._clock, self._patience_s = clock, patience_s
        self._source = None if bus is None else bus.source("repository")
        self._layout = Layout(path)
        self.path = self._layout.path

    def close(self) -> None:
        """Let go of the folder."""
        self._layout.close()

    def __repr__(self) -> str:
        return f"<Repository {printable(self.path)}>"

    # ---- what comes in ----

    def add(self, source: str | os.PathLike[str], name: str | None = None, version: str | None = None) -> list[Listed]:
        """Take the packages of another folder (a layout of OCI, such as ``write_package`` makes), or those of a name
        and a version, if a trusted key signed them. Nothing is installed by it.

        Raises:
            RepositoryError: one of them is not taken; none is then.
            OSError: there is no such folder, or no room.
        """
        with Layout(source, own=False) as theirs, self._turn("add", printable(theirs.path)) as say:
            found, wrong = self._wanted(theirs, name, version)
            if wrong and (name is None or not found):
                raise wrong[0]
            if not found:
                what = " ".join(filter(None, (name, version))) or "packages"
                raise PackageRefused(theirs.path, "absent", f"{printable(what)} in its index", "none")
            return [self._take(theirs, package, say) for package in found]

    def _wanted(
        self, theirs: Layout, name: str | None, version: str | None
    ) -> tuple[list[Opened], list[RepositoryError]]:
        """Packages of a layout, and what is wrong with others."""
        found, wrong, trust = [], [], self._trusted()
        for pair in pairs(theirs):
            try:
                package = open_pair(theirs, trust, pair)
            except RepositoryError as error:
                wrong.append(error)
                continue
            if name in (None, package.name) and version in (None, package.version):
                found.append(package)
        for package in found:
            self._check_new(package)
        return found, wrong

    def _check_new(self, package: Opened) -> None:
        """What has been published does not change."""
        for known in self._named(package.name, package.version):
            if known.image.digest != package.entry.image.digest:
                found = f"another one, {package.entry.image.digest}"
                todo = "a new version has a new number"
                raise PackageRefused(
                    package.what, "replay", f"the package that is here, {known.image.digest}", found, todo
                )

    def _take(self, theirs: Layout, package: Opened, say: Say) -> Listed:
        return self._kept(sealed_in(theirs, package), package, say)

    def _kept(self, sealed: Sealed, package: Opened, say: Say) -> Listed:
        put(self._layout, sealed, package.hint)
        say(events.PackageAdded, package.name, package.version, package.entry.image.digest, package.key.name)
        return self._listed(package, self._record(package.name))

    @checks_keywords
    def publish(self, manifest: Manifest, module: bytes, key: PrivateKey, *, expires: float | None = None) -> Listed:
        """Make a package, sign it, and add it.

        Args:
            manifest: the plugin's.
            module: its binary.
            key: who signs; it must be trusted here for this plugin.
            expires: until when it may be installed, seconds since the epoch.

        Raises:
            RepositoryError: it is not taken.
        """
        what = f"{manifest.name} {manifest.version}"
        with self._turn("publish", what) as say:
            for known in self._named(manifest.name, manifest.version):
                todo = "a new version has a new number"
                raise PackageRefused(what, "replay", "a version that is not here yet", known.image.digest, todo)
            sealed = seal(manifest, module, key, created=self._clock(), expires=expires)
            return self._kept(sealed, self._opened(sealed, what), say)

    def take(self, sealed: Sealed) -> Listed:
        """Add a package that lies in no folder.

        Raises:
            RepositoryError: it is not taken.
        """
        what = f"package {digest_of(sealed.image)[:19]}"
        with self._turn("add", what) as say:
            package = self._opened(sealed, what)
            self._check_new(package)
            if package.module.digest != digest_of(sealed.module):
                raise PackageRefused(package.what, "digest", package.module.digest, digest_of(sealed.module))
            return self._kept(sealed, package, say)

    def _opened(self, sealed: Sealed, what: str) -> Opened:
        """A package, as it will be found."""
        for blob in (sealed.config, sealed.envelope):
            self._layout.put(blob)
        image, envelope = Descriptor.of(IMAGE, sealed.image), Descriptor.of(SIGNATURE, sealed.envelope)
        return open_entry(self._layout, self._trusted(), image, envelope, what)

    # ---- what is there ----

    def packages(self) -> list[Listed]:
        """All packages, right or not; modules are not read.

        Raises:
            RepositoryDamaged: the index or a record is.
        """
        with self._layout.locked(False, self._patience_s):
            trust, found = self._trusted(), []
            for pair in pairs(self._layout):
                try:
                    package = open_pair(self._layout, trust, pair)
                    check_version(pair, package, self._layout)
                except RepositoryError as error:
                    name, _, version = pair.hint.partition(":")
                    found.append(Listed(name, version, pair.image.digest, problem=str(error)))
                    continue
                found.append(self._listed(package, self._record(package.name)))
            return sorted(found, key=_in_order)

    def _listed(self, package: Opened, record: Record) -> Listed:
        digest, contents = package.entry.image.digest, package.contents
        return Listed(
            package.name,
            package.version,
            digest,
            package.key.name,
            written_time(contents.created),
            "" if contents.expires is None else written_time(contents.expires),
            record.current is not None and record.current.image.digest == digest,
            digest in [entry.image.digest for entry in record.earlier],
            package.version in record.pinned,
        )

    def installed(self) -> list[Installed]:
        """What is installed, by name.

        Raises:
            RepositoryDamaged: a record is.
        """
        with self._layout.locked(False, self._patience_s):
            return [_shown(record) for record in self._records() if record.current is not None]

    # ---- what is installed ----

    def install(self, name: str, version: str | None = None) -> Installed:
        """Make a version the one that is loaded: its signature, its digests and what it asks for are checked, and that
        it is higher than all that were. One that is installed stays, and nothing happens.

        Args:
            name: of the plugin.
            version: which; None: the newest release that is here.

        Raises:
            PackageRefused: it is not installed, for a reason.
            RepositoryError: something is damaged, or busy.
        """
        with self._turn("install", _label(name, version)) as say:
            record = self._record(name)
            return self._install(record, self._choose(record, version), say)

    def _choose(self, record: Record, version: str | None) -> Opened:
        """The package of a version; of none, the newest release that would be taken."""
        known = {pair.hint.partition(":")[2]: pair for pair in self._pairs(record.name)}
        if version is None:
            found = self._newest(known.values())
            if found is not None:
                return found
        elif version in known:
            return self._open(known[version])
        there = f"versions {some(sorted(known))}" if known else "none of this name"
        todo = "pre-releases are taken where they are named" if known and version is None else "`strata repo list`"
        raise PackageRefused(_label(record.name, version), "absent", "a package that was added", there, todo)

    def _newest(self, some_pairs: Iterable[Pair]) -> Opened | None:
        """The newest release of some; those that nobody trusts hide no others. None where there is none.

        Raises:
            PackageRefused: none of them would be taken.
            RepositoryDamaged: a newer one is damaged.
        """
        first: PackageRefused | None = None
        releases = {pair.hint.partition(":")[2]: pair for pair in some_pairs}
        for version in sorted((v for v in releases if "-" not in v), key=precedence, reverse=True):
            try:
                return self._open(releases[version])
            except PackageRefused as error:
                first = first or error
        if first is not None:
            raise first
        return None

    def _install(self, record: Record, package: Opened, say: Say) -> Installed:
        before = record.current
        if before is not None and before.image.digest == package.entry.image.digest:
            return _shown(record)
        self._check_version(record, package)
        self._check_time(package)
        self._check_policy(package)
        read_module(self._layout, package)
        record = record.with_current(package.entry)
        self._write(record)
        say(
            events.PackageInstalled,
            package.name,
            package.version,
            before.version if before else "",
            package.entry.image.digest,
            package.key.name,
        )
        return _shown(record)

    def _check_version(self, record: Record, package: Opened) -> None:
        """Versions only grow."""
        if record.highest is None:
            return
        version, digest = record.highest
        if precedence(package.version) < precedence(version):
            todo = f"`strata repo rollback {package.name}` goes back to what was here before"
            raise PackageRefused(
                package.what, "downgrade", f"a version above {version}, which was here", "a lower one", todo
            )
        if precedence(package.version) == precedence(version) and digest != package.entry.image.digest:
            found = f"another package of this version, {package.entry.image.digest}"
            raise PackageRefused(package.what, "replay", f"the package that was here, {digest}", found)

    def _check_time(self, package: Opened) -> None:
        expires = package.contents.expires
        if expires is not None and self._clock() > expires:
            found = f"a package that expired at {written_time(expires)}"
            raise PackageRefused(package.what, "expired", "one that may still be installed", found)

    def _check_policy(self, package: Opened) -> None:
        """The policy grants what it asks for."""
        if self._policy is None:
            return
        grant = self._policy.grant(package.name)
        if grant is None:
            raise PackageRefused(package.what, "policy", "a grant that names it", "none")
        refusals = list(grant.refusals(package.contents.manifest))
        if grant.digests and package.module.digest not in tuple(grant.digests):
            refusals.append(f"its module is {package.module.digest}, which the grant does not name")
        if refusals:
            raise PackageRefused(
                package.what, "policy", "a plugin that asks for what it is granted", "; ".join(refusals)
            )

    def upgrade(self, name: str | None = None) -> list[Installed]:
        """Install the newest release of a plugin, or of all that are installed, where it is higher than all that were.

        Returns:
            Those that changed.

        Raises:
            RepositoryError: as ``install``; the others have changed.
        """
        with self._turn("upgrade", _label(name or "all")) as say:
            records = [self._record(name)] if name is not None else self._records()
            changed, wrong = [], []
            for record in records:
                try:
                    changed += self._upgrade(record, say)
                except RepositoryError as error:
                    wrong.append(error)
            if wrong:
                raise wrong[0]
            return changed

    def _upgrade(self, record: Record, say: Say) -> list[Installed]:
        """One of them."""
        if record.current is None or record.highest is None:
            return []
        least = precedence(record.highest[0])
        newer = [pair for pair in self._pairs(record.name) if precedence(pair.hint.partition(":")[2]) > least]
        found = self._newest(newer)
        return [] if found is None else [self._install(record, found, say)]

    def roll_back(self, name: str, steps: int = 1) -> Installed:
        """Make a version that was installed before the one that is loaded again.

        Args:
            name: of the plugin.
            steps: how many installations back. Those that are skipped are forgotten, but for their numbers.

        Raises:
            PackageRefused: there is none, or it would not be taken now: its key is not trusted any more, say.
            RepositoryError: something is damaged, or busy.
        """
        with self._turn("roll back", _label(name)) as say:
            record = self._record(name)
            before = record.current
            if type(steps) is not int or steps < 1:
                raise ValueError(f"roll_back: steps must be a whole number from 1 on, got {steps!r:.40}")
            if before is None or steps > len(record.earlier):
                found = f"{len(record.earlier)}: {some(entry.version for entry in record.earlier)}"
                raise PackageRefused(name, "absent", f"{steps} earlier versions", found)
            record = record.back(steps)
            assert record.current is not None
            package = self._open_entry(record, record.current)
            self._check_policy(package)
            read_module(self._layout, package)
            self._write(record)
            say(events.PackageRolledBack, name, record.current.version, before.version)
            return _shown(record)

    def remove(self, name: str, *, forget: bool = False) -> None:
        """No version is installed any more; its packages stay until ``gc``.

        Args:
            name: of the plugin.
            forget: also that it was here: afterwards any version may be installed.

        Raises:
            PackageRefused: it was not.
        """
        with self._turn("remove", _label(name)) as say:
            record = self._record(name)
            if record.current is None and not (forget and record.highest):
                raise PackageRefused(name, "absent", "a plugin that is installed", "none of this name")
            version = record.current.version if record.current else ""
            if forget:
                self._layout.drop(PLUGINS, name + ENDING)
            else:
                self._write(record.removed())
            say(events.PackageRemoved, name, version, forget)

    def pin(self, name: str, version: str) -> None:
        """Keep a package, whatever ``gc`` does.

        Raises:
            PackageRefused: there is none.
        """
        with self._turn("pin", _label(name, version)):
            record = self._record(name)
            self._choose(record, version)
            if version not in record.pinned:
                if len(record.pinned) >= MOST_PINNED:
                    raise PackageRefused(name, "size", f"at most {MOST_PINNED} pinned versions", "one more")
                self._write(replace(record, pinned=(*record.pinned, version)))

    def unpin(self, name: str, version: str) -> None:
        """Let ``gc`` remove a package again.

        Raises:
            PackageRefused: it was not pinned.
        """
        with self._turn("unpin", _label(name, version)):
            record = self._record(name)
            if version not in record.pinned:
                raise PackageRefused(_label(name, version), "absent", "a pinned version", some(record.pinned))
            self._write(replace(record, pinned=tuple(v for v in record.pinned if v != version)))

    # ---- what is loaded ----

    def package(self, name: str, version: str | None = None) -> Package:
        """What ``Plugins`` loads: signature and digests are checked again.

        Args:
            name: of the plugin.
            version: which of those that are or were installed; None: the one that is.

        Raises:
            RepositoryError: it is not installed, or would not be taken now.
        """
        with self._turn("open", _label(name, version), writes=False) as say:
            record = self._record(name)
            entries = [entry for entry in record.entries if version in (None, entry.version)]
            if not entries or record.current is None:
                found = some(entry.version for entry in record.entries)
                raise PackageRefused(_label(name, version), "absent", "a version that is installed", found)
            package = self._open_entry(record, entries[-1])
            data = read_module(self._layout, package)
            say(events.PackageOpened, name, package.version, package.entry.image.digest, package.key.name)
            return Package(package.contents.manifest, data=data)

    # ---- housekeeping ----

    def verify(self) -> list[Problem]:
        """Look at every file, every signature and every digest; what is not right. Nothing is changed."""
        with self._turn("verify", printable(self.path), writes=False) as say:
            look = Inspection(self._layout, self._trusted())
            look.at_packages()
            for name in look.tried(self._record_names) or ():
                record = look.tried(partial(self._record, name))
                for version in () if record is None else record.pinned:
                    look.tried(partial(self._choose, record, version), f"{name} {version}, which is pinned")
                for entry in () if record is None else record.entries:
                    look.tried(
                        partial(self._verify_entry, record, entry), f"{name} {entry.version}, which is installed"
                    )
            look.at_files()
            say(events.RepositoryVerified, look.files, len(look.problems))
            return look.problems

    def _verify_entry(self, record: Record, entry: Entry) -> None:
        sealed_in(self._layout, self._open_entry(record, entry))

    def gc(self) -> Collected:
        """Remove packages that are neither installed nor earlier nor pinned, and files that nobody needs.

        Raises:
            RepositoryError: something is damaged, so that nobody knows what is needed: nothing is removed then.
        """
        with self._turn("gc", printable(self.path)) as say:
            layout, records = self._layout, self._records()
            keep = {entry.image.digest for record in records for entry in record.entries}
            pinned = {f"{record.name}:{version}" for record in records for version in record.pinned}
            entries = layout.entries()
            images = {e.what.digest for e in entries if not e.signs and (e.what.digest in keep or e.hint in pinned)}
            kept = [e for e in entries if (e.hint if e.signs else e.what.digest) in images]
            needed = {digest for record in records for entry in record.entries for digest in reachable(layout, entry)}
            needed |= {
                digest for pair in pairs(layout) if pair.image.digest in images for digest in self._blobs_of(pair)
            }
            gone = sum(not e.signs for e in entries) - len(images)
            if len(kept) < len(entries):
                layout.write_entries(kept)
            unneeded = [name for name in layout.names(BLOBS) if f"sha256:{name}" not in needed]
            size = sum(layout.drop(BLOBS, name) for name in unneeded if not name.startswith(".")) + layout.sweep()
            say(events.RepositoryCollected, gone, len(unneeded), size)
            return Collected(gone, len(unneeded), size)

    def _blobs_of(self, pair: Pair) -> Iterator[str]:
        """Digests of all blobs that a package of the index needs, trusted or not."""
        layout = self._layout
        yield from (pair.image.digest, digest_of(NOTHING))
        yield from (part.digest for part in parts_of(layout.blob(pair.image), pair.what))
        for artifact in pair.signatures:
            yield artifact.digest
            _, envelope = signed_by(layout.blob(artifact), pair.what)
            yield envelope.digest

    # ---- records ----

    def _record_names(self) -> list[str]:
        """Names of plugins that have a record."""
        names = []
        for file in self._layout.names(PLUGINS):
            name = file.removesuffix(ENDING)
            if file.startswith("."):
                continue
            if not file.endswith(ENDING) or not is_name(name):
                raise self._layout.damaged(PLUGINS, file, "file", "the name of a plugin and .json", "another name")
            names.append(name)
        return names

    def _records(self) -> list[Record]:
        return [self._record(name) for name in self._record_names()]

    def _record(self, name: str) -> Record:
        """What there is of a plugin, which may be nothing."""
        if not is_name(name):
            raise PackageRefused(str(name)[:200], "form", A_NAME, repr(name)[:200])
        file = name + ENDING
        data = self._layout.read(PLUGINS, file, MOST_BYTES)
        if data is None:
            return Record(name)
        return Record.read(data, name, partial(self._layout.damaged, PLUGINS, file))

    def _write(self, record: Record) -> None:
        self._layout.replace(PLUGINS, record.name + ENDING, record.written())

    # ---- packages ----

    def _trusted(self) -> Trust:
        return self._trust if isinstance(self._trust, Trust) else Trust.read(self._trust)

    def _pairs(self, name: str) -> list[Pair]:
        return [pair for pair in pairs(self._layout) if pair.hint.partition(":")[0] == name]

    def _named(self, name: str, version: str) -> list[Pair]:
        return [pair for pair in self._pairs(name) if pair.hint == f"{name}:{version}"]

    def _open(self, pair: Pair) -> Opened:
        package = open_pair(self._layout, self._trusted(), pair)
        check_version(pair, package, self._layout)
        return package

    def _open_entry(self, record: Record, entry: Entry) -> Opened:
        """What a record names, if it would be taken now."""
        what = f"{record.name} {entry.version}"
        package = open_entry(self._layout, self._trusted(), entry.image, entry.envelope, what)
        if (package.name, package.version) != (record.name, entry.version):
            raise self._layout.damaged(PLUGINS, record.name + ENDING, "form", package.what, what)
        return package

    # ---- turns ----

    @contextmanager
    def _turn(self, step: str, package: str, writes: bool = True) -> Iterator[Say]:
        """Have the repository, alone if something is written. What there is to say is said afterwards: listeners may
        use the repository. What is not done is said, and why."""
        unsaid: list[Event] = []
        source = self._source

        def say(type_: type[Event], *facts: Any) -> None:
            if source is not None and source.hears(type_):
                unsaid.append(type_(*facts))

        try:
            with self._layout.locked(writes, self._patience_s):
                yield say
        except RepositoryError as error:
            say(events.PackageTurnedAway, step, package, error.reason, str(error))
            raise
        finally:
            for event in unsaid:
                if source is not None:
                    source.emit(event)


def _label(name: str, version: str | None = None) -> str:
    return printable(f"{name} {version}" if version else str(name), 200)


def _shown(record: Record) -> Installed:
    assert record.current is not None and record.highest is not None
    return Installed(
        record.name,
        record.current.version,
        record.current.image.digest,
        tuple(entry.version for entry in record.earlier),
        record.highest[0],
        record.pinned,
    )


def _in_order(listed: Listed) -> tuple[Any, ...]:
    try:
        return (listed.name, precedence(listed.version))
    except ValueError:  # what the index says need be no version
        return (listed.name, ())


def write_package(path: str | os.PathLike[str], packages: Iterable[Sealed]) -> None:
    """Put packages into a folder that carries them elsewhere: a layout of OCI, which ``Repository.add`` takes.

    Raises:
        OSError, StrataError: it cannot be written.
    """
    with Layout(path) as layout, layout.locked(True, PATIENCE_S):
        for sealed in packages:
            _, module = parts_of(sealed.image, "a package")
            manifest = contents_of(sealed.config, module, "a package").manifest
            put(layout, sealed, f"{manifest.name}:{manifest.version}")
