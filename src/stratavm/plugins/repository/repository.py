"""``Repository``: signed packages of plugins in a folder; which version of each is installed, and which were."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from stratavm.base.closing import Closing
from stratavm.base.events.core import Bus
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, replace
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds, truth
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.plugins.manifest import A_NAME, Manifest, digest_of, is_name
from stratavm.plugins.policy import Policy
from stratavm.plugins.ranges import precedence
from stratavm.plugins.repository import events
from stratavm.plugins.repository.artifact import (
    BINARY,
    IMAGE,
    LAYER,
    NOTHING,
    SIGNATURE,
    Descriptor,
    Sealed,
    check_parts,
    check_sealed,
    contents_of,
    parts_of,
    seal,
    signed_by,
    written_time,
)
from stratavm.plugins.repository.errors import PackageRefused, RepositoryError
from stratavm.plugins.repository.files import PATIENCE_S
from stratavm.plugins.repository.given import check, path_of
from stratavm.plugins.repository.inspection import Inspection
from stratavm.plugins.repository.layout import BLOBS, PLUGINS, Layout, Named
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
    from stratavm.base.events.core import Event
    from stratavm.plugins.repository.places import Places
    from stratavm.plugins.repository.signing import PrivateKey

Say: TypeAlias = "Callable[..., None]"
ENDING: Final = ".json"


class Repository(Closing):
    """Packages in a folder of this user's; from several processes and threads, one writer at a time.

    Args:
        path: the folder; made where there is none.
        trust: the keys that count: a ``Trust``, or the file of one, which is read at each step.
        policy: what is installed must be granted what it asks for; None: whoever loads it asks.
        bus: where events go.
        clock: seconds since the epoch; tests give their own.
        patience_s: how long to wait for another process.
        read_only: nothing is made or changed there; for a folder that cannot be written. It may be root's as well, and
            others may read it.

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
        read_only: bool = False,
    ) -> None:
        path_of("path", path)
        check("trust", trust, (Trust, str, os.PathLike), "a Trust, or the path of its file")
        check("policy", policy, (Policy, type(None)), "a Policy")
        check("bus", bus, (Bus, type(None)), "a Bus")
        if not callable(clock):
            raise TypeError(f"clock must be a function that gives seconds, got {clock!r:.60}")
        self._trust, self._policy = trust, policy
        self._clock, self._patience_s = clock, seconds("patience_s", patience_s)
        self._source = None if bus is None else bus.source("repository")
        self._layout = Layout(path, writes=not truth("read_only", read_only))
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
        path_of("source", source)
        for word, given in (("name", name), ("version", version)):
            check(word, given, (str, type(None)), "text")
        with Layout(source, own=False) as theirs, self._step("add", printable(theirs.path)) as say:
            found = self._wanted(theirs, name, version)  # which may take long: nobody else waits for it
            with self._layout.locked(True, self._patience_s):
                return self._kept(found, (sealed_in(theirs, package) for package in found), say)

    def _wanted(self, theirs: Layout, name: str | None, version: str | None) -> list[Opened]:
        """Packages of a layout that are right.

        Raises:
            RepositoryError: there are none; or one of all is wrong, where all are wanted.
        """
        found, wrong, trust, there = [], [], self._trusted(), pairs(theirs)
        for pair in there:
            try:
                package = open_pair(theirs, trust, pair)
            except RepositoryError as error:
                wrong.append(error)
                continue
            if name in (None, package.name) and version in (None, package.version):
                found.append(package)
        if wrong and (name is None or not found):
            raise wrong[0]
        if not found:
            what = " ".join(filter(None, (name, version))) or "packages"
            expected = f"{printable(what)} in its index"
            raise PackageRefused(theirs.path, "absent", expected, some(sorted(pair.what for pair in there)))
        return found

    def _check_new(self, packages: Iterable[Opened]) -> None:
        """What has been published does not change, and what comes has each version once."""
        known = {pair.hint: pair.image.digest for pair in pairs(self._layout)}
        for package in packages:
            digest = package.entry.image.digest
            first = known.setdefault(package.hint, digest)
            if first != digest:
                todo = "a new version has a new number"
                expected, found = f"the package that came first, {first}", f"another one, {digest}"
                raise PackageRefused(package.what, "replay", expected, found, todo)

    def _kept(self, packages: list[Opened], sealed: Iterable[Sealed], say: Say) -> list[Listed]:
        """Keep packages, all of them or none."""
        self._check_new(packages)
        listed = [self._listed(package, self._record(package.name)) for package in packages]
        put(self._layout, zip(sealed, (package.hint for package in packages), strict=True))
        for package in packages:
            say(events.PackageAdded, package.name, package.version, package.entry.image.digest, package.key.name)
        return listed

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
        check_parts(manifest, module, key)
        what = f"{manifest.name} {manifest.version}"
        with self._turn("publish", what) as say:
            for known in self._named(manifest.name, manifest.version):
                todo = "a new version has a new number"
                raise PackageRefused(what, "replay", "a version that is not here yet", known.image.digest, todo)
            sealed = seal(manifest, module, key, created=self._clock(), expires=expires)
            return self._kept([self._opened(sealed, what)], [sealed], say)[0]

    def take(self, sealed: Sealed) -> Listed:
        """Add a package that lies in no folder.

        Raises:
            RepositoryError: it is not taken.
        """
        check_sealed("sealed", sealed)
        what = f"package {digest_of(sealed.image)[:19]}"
        with self._turn("add", what) as say:
            return self._kept([self._opened(sealed, what)], [sealed], say)[0]

    def _opened(self, sealed: Sealed, what: str) -> Opened:
        """A package, as it will be found. Nothing is written."""
        parts = {(digest_of(part), len(part)): part for part in (sealed.config, sealed.envelope)}

        def blob(wanted: Descriptor) -> bytes:
            found = parts.get((wanted.digest, wanted.size))
            if found is None:
                raise PackageRefused(what, "digest", f"a config, {wanted.digest}", digest_of(sealed.config))
            return found

        image, envelope = Descriptor.of(IMAGE, sealed.image), Descriptor.of(SIGNATURE, sealed.envelope)
        package = open_entry(blob, self._trusted(), image, envelope, what)
        module = Descriptor.of(LAYER, sealed.module)
        if package.module != module:
            expected, found = (f"a module, {part.digest}, {part.size} bytes" for part in (package.module, module))
            raise PackageRefused(package.what, "digest", expected, found)
        if not sealed.module.startswith(BINARY):
            raise PackageRefused(package.what, "form", "a WebAssembly binary", "something else")
        return package

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
            return [self._looked(record) for record in self._records() if record.current is not None]

    def _looked(self, record: Record) -> Installed:
        """What is installed, and what is wrong with it."""
        assert record.current is not None
        try:
            self._open_entry(record, record.current)
        except RepositoryError as error:
            return _shown(record)._replace(problem=str(error))
        return _shown(record)

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
        check("version", version, (str, type(None)), "the text of a version")
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

    def _newest(
        self, some_pairs: Iterable[Pair], check: Callable[[Opened], None] = lambda package: None
    ) -> Opened | None:
        """The newest release of some that passes a check; those that nobody trusts hide no others. None where there is
        none.

        Raises:
            PackageRefused: none of them would be taken.
            RepositoryDamaged: a newer one is damaged.
        """
        first: PackageRefused | None = None
        releases = {pair.hint.partition(":")[2]: pair for pair in some_pairs}
        for version in sorted((v for v in releases if "-" not in v), key=precedence, reverse=True):
            try:
                package = self._open(releases[version])
                check(package)
                return package
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
        new, (version, digest) = package.entry.image.digest, record.highest or ("", "")
        reason = record.refusal(package.version, new)
        if reason == "downgrade":
            expected, found = f"a version above {version}, which was here", "a lower one"
            todo = f"`strata repo rollback {package.name}` goes back to what was here before"
            if not record.earlier:
                todo = f"`strata repo remove --forget {package.name}`, and any version may be installed"
            raise PackageRefused(package.what, reason, expected, found, todo)
        if reason:
            expected, found = f"the package that was here, {digest}", f"another package of this version, {new}"
            raise PackageRefused(package.what, reason, expected, found)

    def _check_time(self, package: Opened) -> None:
        expires = package.contents.expires
        if expires is not None and self._clock() > expires:
            found = f"a package that expired at {written_time(expires)}"
            todo = "ask who signed it for a newer one"
            raise PackageRefused(package.what, "expired", "one that may still be installed", found, todo)

    def _check_policy(self, package: Opened) -> None:
        """The policy grants what it asks for."""
        if self._policy is None:
            return
        grant = self._policy.grant(package.name)
        if grant is None:
            todo = f"Policy({{{package.name!r}: Grant(…)}}) names it"
            raise PackageRefused(package.what, "policy", "a grant that names it", "none", todo)
        other = grant.other_module(package.module.digest)
        refusals = [*grant.refusals(package.contents.manifest), *([other] if other else [])]
        if refusals:
            raise PackageRefused(
                package.what, "policy", "only what the policy grants", f"that {'; that '.join(refusals)}"
            )

    def upgrade(self, name: str | None = None) -> list[Installed]:
        """Install the newest release of a plugin, or of all that are installed, where it is higher than all that were.

        Returns:
            Those that changed.

        Raises:
            PackageRefused: none of the name is installed.
            RepositoryError: as ``install``; the others have changed.
        """
        with self._turn("upgrade", _label(name or "all")) as say:
            names, wrong = ([name], []) if name is not None else self._record_names()
            if name is not None and self._record(name).current is None:
                raise PackageRefused(name, "absent", "a plugin that is installed", "none of this name")
            changed = []
            for each in names:
                try:
                    changed += self._upgrade(self._record(each), say)
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
        found = self._newest(newer, self._check_time)
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
            if before is None:
                raise PackageRefused(name, "absent", "a plugin that is installed", "none of this name")
            if steps > len(record.earlier):
                versions = some(entry.version for entry in record.earlier)
                found = f"{len(record.earlier)}: {versions}" if record.earlier else "none"
                todo = "`strata repo installed` shows what was before"
                raise PackageRefused(name, "absent", counted(steps, "earlier version"), found, todo)
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
            forget: also that it was here: afterwards any version may be installed. What is pinned stays pinned.

        Raises:
            PackageRefused: it was not.
        """
        truth("forget", forget)  # what only counts as true would let any version in
        with self._turn("remove", _label(name)) as say:
            record = self._record(name)
            if record.current is None and not (forget and record.highest):
                raise PackageRefused(name, "absent", "a plugin that is installed", "none of this name")
            version = record.current.version if record.current else ""
            if forget and not record.pinned:
                self._layout.drop(PLUGINS, name + ENDING)
            else:
                self._write(replace(record.removed(), highest=None) if forget else record.removed())
            say(events.PackageRemoved, name, version, forget)

    def pin(self, name: str, version: str) -> None:
        """Keep a package, whatever ``gc`` does.

        Raises:
            PackageRefused: there is none.
        """
        with self._turn("pin", _label(name, version)):
            record = self._record(name)
            version = self._choose(record, version).version
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
            names, wrong = look.tried(self._record_names) or ((), ())
            for error in wrong:
                look.tell(error)
            for name in names:
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

    @checks_keywords
    def gc(self, *, every: bool = False) -> Collected:
        """Remove packages that are neither installed nor earlier nor pinned and can never be installed, as a higher
        version was; those of plugins that were removed; and files that nobody needs. What somebody added a moment ago
        stays for him to install.

        Args:
            every: also packages that could be installed: what is not installed, earlier or pinned goes.

        Raises:
            RepositoryError: something is damaged, so that nobody knows what is needed: nothing is removed then.
        """
        truth("every", every)
        with self._turn("gc", printable(self.path)) as say:
            layout, records = self._layout, {record.name: record for record in self._records()}
            entries = layout.entries()
            images = {e.what.digest for e in entries if not e.signs and _stays(e, records, every)}
            kept = [e for e in entries if (e.hint if e.signs else e.what.digest) in images]
            installed = (entry for record in records.values() for entry in record.entries)
            needed = {digest for entry in installed for digest in reachable(layout, entry)}
            needed |= {
                digest for pair in pairs(layout) if pair.image.digest in images for digest in self._blobs_of(pair)
            }
            gone = sum(not e.signs for e in entries) - len(images)
            if len(kept) < len(entries):
                layout.write_entries(kept)
            names = (name for name in layout.names(BLOBS) if f"sha256:{name}" not in needed and name[0] != ".")
            sizes = [size for name in names if (size := layout.drop(BLOBS, name)) is not None]
            size = sum(sizes) + layout.sweep()
            say(events.RepositoryCollected, gone, len(sizes), size)
            return Collected(gone, len(sizes), size)

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

    def _record_names(self) -> tuple[list[str], list[RepositoryError]]:
        """Names of plugins that have a record, and what is wrong with other files beside those."""
        names, wrong = list[str](), list[RepositoryError]()
        for file in self._layout.names(PLUGINS):
            name = file.removesuffix(ENDING)
            if file.endswith(ENDING) and is_name(name):
                names.append(name)
            elif not file.startswith("."):
                expected = "the name of a plugin and .json"
                wrong.append(self._layout.damaged(PLUGINS, file, "file", expected, "another name"))
        return names, wrong

    def _records(self) -> list[Record]:
        names, wrong = self._record_names()
        if wrong:
            raise wrong[0]
        return [self._record(name) for name in names]

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
        package = open_entry(self._layout.blob, self._trusted(), entry.image, entry.envelope, what)
        if (package.name, package.version) != (record.name, entry.version):
            raise self._layout.damaged(PLUGINS, record.name + ENDING, "form", package.what, what)
        return package

    # ---- turns ----

    @contextmanager
    def _turn(self, step: str, package: str, writes: bool = True) -> Iterator[Say]:
        """A step that has the repository, alone if something is written."""
        with self._step(step, package) as say, self._layout.locked(writes, self._patience_s):
            yield say

    @contextmanager
    def _step(self, step: str, package: str) -> Iterator[Say]:
        """What there is to say of a step is said afterwards: listeners may use the repository. What is not done is
        said, and why."""
        unsaid: list[Event] = []
        source = self._source

        def say(type_: type[Event], *facts: Any) -> None:
            if source is not None and source.hears(type_):
                unsaid.append(type_(*facts))

        try:
            yield say
        except RepositoryError as error:
            say(events.PackageTurnedAway, step, package, error.reason, str(error))
            raise
        finally:
            for event in unsaid:
                if source is not None:
                    source.emit(event)


def opened_to_read(places: Places, policy: Policy | None = None) -> Repository:
    """The repository of some places; read-only where it cannot be written, as on a file system that was mounted so.

    Raises:
        OSError, StrataError: it cannot be used.
    """
    path = places.repository
    read_only = os.path.isdir(path) and not os.access(path, os.W_OK)
    return Repository(path, places.trust, policy=policy, read_only=read_only)


def _label(name: str, version: str | None = None) -> str:
    return printable(f"{name} {version}" if version else str(name), 200)


def _stays(package: Named, records: dict[str, Record], every: bool) -> bool:
    """Whether a package that the index names is kept by ``gc``."""
    (name, _, version), digest = package.hint.partition(":"), package.what.digest
    record = records.get(name) or Record(name)
    needed = version in record.pinned or any(entry.image.digest == digest for entry in record.entries)
    return needed or (not every and record.awaits(version, digest))


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
        PackageRefused: it has another package of a name and version, or these have two.
        OSError, StrataError: it cannot be written.
    """
    path_of("path", path)
    packages = list(packages)
    for sealed in packages:
        check_sealed("packages", sealed)
    with Layout(path) as layout, layout.locked(True, PATIENCE_S):
        put(layout, ((sealed, _hint(sealed)) for sealed in packages))


def _hint(sealed: Sealed) -> str:
    """How an index names a package that somebody made just now."""
    _, module = parts_of(sealed.image, "a package")
    manifest = contents_of(sealed.config, module, "a package").manifest
    return f"{manifest.name}:{manifest.version}"
