"""Claims about the coverage plugin: what it hands to the C tracer, which holds no references, outlives the run."""

import gc
import threading
import weakref

from tools import coverage_plugin


class Tracer:
    """Stands for Cython's: made anew whenever its plugin is asked."""


def test_threads_that_meet_a_file_at_once_get_one_tracer(monkeypatch):
    """A second one would end the first, which the other thread's frame still calls on every line."""
    monkeypatch.setattr(coverage_plugin.UntypedPlugin, "file_tracer", lambda self, filename: Tracer())
    plugin = coverage_plugin.WholeTreePlugin()
    got = []
    both = threading.Barrier(2)

    def meet() -> None:
        both.wait(60)
        got.append(plugin.file_tracer("a.py"))

    threads = [threading.Thread(target=meet) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] is got[1]
    assert plugin.file_tracer("b.py") is not got[0]


def test_a_tracer_lives_as_long_as_the_plugin(monkeypatch):
    """Also when nobody else holds it any more."""
    monkeypatch.setattr(coverage_plugin.UntypedPlugin, "file_tracer", lambda self, filename: Tracer())
    plugin = coverage_plugin.WholeTreePlugin()
    alive = weakref.ref(plugin.file_tracer("a.py"))
    gc.collect()
    assert alive() is not None
