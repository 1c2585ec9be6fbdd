"""How a plugin goes on with another version: a patch of its instance, or another one that takes its state over.

``Attempt.of`` reads and compares, beside the calls that go on; ``Attempt.make`` does it, with the plugin's turn at the
gate. Whatever fails, the running version goes on as if nothing had happened (ADR-0067, with the addition of ADR-0066).
"""

from __future__ import annotations

import time

from stratavm.base.errors import Closed, DeadlineExceeded
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple, final, replace
from stratavm.base.numbers import truth
from stratavm.base.words import some
from stratavm.engine.module import module_called
from stratavm.engine.swap import carry, obstacles
from stratavm.engine.update import Patience, tell
from stratavm.engine.update_events import InstanceSwapped
from stratavm.engine.update_plan import Update, UpdateRefused
from stratavm.plugins.dependencies import bound, join, unmet
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.fitting import misfit
from stratavm.plugins.making import begin, make, own_module, prepare, read_module, refusals
from stratavm.plugins.ranges import precedence
from stratavm.plugins.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stratavm.engine.instance import Instance
    from stratavm.plugins.life import Life
    from stratavm.plugins.manifest import Manifest
    from stratavm.plugins.sources import Package
    from stratavm.plugins.version import Body

SAME: Final = ("capabilities", "wasi", "folders", "env", "limits")
"""What two versions of a plugin have in common, if an instance of one can become one of the other."""
HOW: Final = ("auto", "swap")


class Order(NamedTuple):
    """What is wanted of an update."""

    migrate: Callable[[Instance, Instance], object] | None = None
    fresh: bool = False
    how: str = "auto"
    downgrade: bool = False
    dry_run: bool = False

    def checked(self) -> Order:
        """The same, if it can be meant.

        Raises:
            ValueError, TypeError: it cannot.
        """
        if self.how not in HOW:
            raise ValueError(f"how must be auto or swap, got {self.how!r:.80}")
        if self.migrate is not None and not callable(self.migrate):
            raise TypeError(f"migrate must be a function of two instances, got {self.migrate!r:.60}")
        if truth("fresh", self.fresh) and self.migrate is not None:
            raise ValueError("fresh=True carries no state: there is nothing for migrate to do")
        truth("downgrade", self.downgrade), truth("dry_run", self.dry_run)
        return self


@final
class Attempt:
    """An update that can be made, or of which ``update.obstacles`` say why not.

    Attributes:
        base: the version that it was compared with; ``next``: the new one, which has a module and no instance.
        harmed: why the running version cannot go on, if what was asked of it ended so.
    """

    def __init__(self, base: Version, following: Version, order: Order, patience: Patience) -> None:
        self.base, self.next, self.order, self.patience = base, following, order, patience
        self.update = Update("none")
        self.digest = ""
        self.harmed: BaseException | None = None
        self._seen: Instance | None = None

    @classmethod
    def of(cls, life: Life, package: Package, order: Order, patience: Patience) -> Attempt:
        """Look what an update to a version would be. Nothing of either runs.

        Raises:
            PluginRefused, UpdateRefused: something stands against it, and it is no dry run.
            OSError, StrataError: there is no such version, or its module is invalid.
        """
        asked, base = package.manifest, life.version
        stands = [*_objections(life, asked, order)]
        if stands and not order.dry_run:
            raise PluginRefused(life.name, "update", "; ".join(stands))
        grant = life.shared.policy.grant(life.name)
        if grant is None:  # a dry run
            return cls(base, base, order, patience)._planned(Update("swap", obstacles=tuple(stands)))
        data, digest = read_module(package, grant, "update")
        module = module_called(life.name, data, life.shared.engine, life.shared.timeouts.resolve)
        limits = grant.limits.within(asked.limits)
        wrong = misfit(module, asked, limits)
        if wrong and not order.dry_run:
            raise PluginRefused(life.name, "update", wrong)
        following = Version(package, life.new_body(data, module), grant, limits)
        made = cls(base, following, order, patience)
        made.digest = digest
        plan = made._plan(life)
        return made._planned(replace(plan, obstacles=(*stands, *([wrong] if wrong else []), *plan.obstacles)))

    def _planned(self, plan: Update) -> Attempt:
        self.update = plan
        return self

    def _plan(self, life: Life) -> Update:
        """A patch where that can be, and nothing else was asked for; else why not, and what stands against a swap.

        Raises:
            UpdateRefused: something does, and it is no dry run.
        """
        plan = self._compared(life)
        if plan.obstacles and not self.order.dry_run:
            version, why = self.next.package.manifest.version, "; ".join(plan.obstacles)
            raise UpdateRefused(plan, f"plugin {life.name} cannot go on with {version}: {why}")
        return plan

    def _compared(self, life: Life) -> Update:
        instance, body, order = self.base.body.instance, self.next.body, self.order
        assert body.module is not None
        self._seen = instance
        if instance is None or instance.poisoned or instance.store.closed:  # then it fails, and is looked at again
            return Update("swap", reasons=(f"it is {life.state.value}, and has no instance",))
        old, new = self.base.package.manifest, self.next.package.manifest
        other = [name for name in SAME if getattr(old, name) != getattr(new, name)]
        apart = [f"it asks for other {some(other)}"] if other else []
        if _begins(self.base.body) or _begins(body):  # a patch takes the binary alone, for later instances as well
            apart.append("an image says what its instances begin with")
        plan = instance.update(body.data, dry_run=True)
        if plan.kind != "swap" and not apart and order.how == "auto" and not order.fresh:
            return plan
        reasons = [*plan.reasons, *apart]
        found = obstacles(instance, body.module, {}, not order.fresh, order.migrate is not None)
        return Update("swap", reasons=tuple(reasons or ["another instance was asked for"]), obstacles=tuple(found))

    @property
    def is_swap(self) -> bool:
        """Whether it takes another instance."""
        return self.update.kind == "swap"

    def interrupt(self) -> None:
        """Nobody waits for it any more: what runs in the new instance ends."""
        self.patience.end()
        store = self.next.body.store
        if store is not None:
            store.interrupt()

    def make(self, life: Life, begun: float) -> tuple[Any, ...]:
        """Do it, as the action of an edge; the facts of its event. ``begun``: since then calls wait."""
        if life.version is not self.base:
            raise PluginRefused(life.name, "update", "it has changed meanwhile")
        refused = join(life, self.next.package.manifest)
        if refused:
            raise PluginRefused(life.name, "update", "; ".join(refused))
        former = life.instance
        if former is not self._seen:  # it has failed since then, or was started again
            self._planned(self._plan(life))
        carried = self._swap(life) if self.is_swap else self._patch(life)
        now = time.perf_counter()
        life.counters.updated(self.update.kind)
        self.update = replace(
            self.update, carried=carried, applied=True, seconds=now - self.patience.begin, pause_seconds=now - begun
        )
        if self.is_swap and former is not None and life.instance is not None and life.module is not None:
            facts = life.instance.number, life.module.name, former.number, carried, int((now - begun) * 1e9)
            tell(life.instance, InstanceSwapped, *facts)
        return self.next.package.manifest.version, self.digest, self.update.kind, carried

    def _patch(self, life: Life) -> int:
        """The instance has other code."""
        body, instance = self.base.body, self.base.body.instance
        assert instance is not None
        before = self.base._replace(code=body.module)
        if self.update.kind == "patch":
            instance.update(self.next.body.data, deadline=self.patience.left)
            body.module = instance.module
        life.go_on(self.next._replace(body=body), before)
        return 0

    def _swap(self, life: Life) -> int:
        """Another instance is made, begins, takes the state over, and is the plugin."""
        version, left = self.next, self.patience
        assert version.body.module is not None
        own_module(life, version.body, version.body.module)
        carried = 0
        life.making, life.ledger.most = version.body, version.limits.stored_bytes
        try:
            make(life, version, left.left)
            begin(life, version, left.left)
            if self.base.body.instance is not None and not self.order.fresh:
                carried = self._carry(life, self.base.body.instance)
        finally:
            life.making = None
        if left.is_over:
            raise DeadlineExceeded(detail="the update was not made: the new version took too long")
        life.go_on(version, self.base)
        return carried

    def _carry(self, life: Life, old: Instance) -> int:
        """Its state goes over. What the running version does for that is a call of it: its own limits hold, and where
        it is not usable behind it, it has failed."""
        new = self.next.body.instance
        assert new is not None
        prepare(self.base)
        prepare(self.next)
        try:
            with old.store.deadline(life.limits.call_s), new.store.deadline(self.patience.left):
                if self.order.migrate is None:
                    return carry(old, new)
                self.order.migrate(old, new)
                if new.store.closed or new.closed or new.poisoned:
                    raise Closed("what carried the state has closed the new version")
                return 0
        except BaseException as error:
            if old.store.closed or old.poisoned:
                self.harmed = error
            raise


def _begins(body: Body) -> bool:
    """Whether an image says what instances begin with."""
    return body.module is not None and body.module.beginning() is not None


def _objections(life: Life, asked: Manifest, order: Order) -> Iterator[str]:
    """What can be said against a version by its manifest alone."""
    if asked.name != life.name:
        yield f"it has another name: {asked.name}"
        return
    yield from refusals(life.shared, asked, asks=not order.dry_run)
    if precedence(asked.version) < precedence(life.manifest.version) and not order.downgrade:
        yield f"{asked.version} is older than {life.manifest.version}, which runs: downgrade=True takes it all the same"
    yield from unmet(life, asked)
    yield from bound(life, asked.version)
