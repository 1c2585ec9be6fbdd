"""Claims about how many processors are ours: what the kernel's files say, as texts."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

import pytest

from stratavm.base import processors

V2 = "0::/user.slice/app.service\n"
V1 = """12:memory:/docker/f00
5:cpu,cpuacct:/docker/f00
4:cpuset:/docker/f00
1:name=systemd:/docker/f00
"""
HYBRID = V1 + "0::/system.slice/docker.service\n"


def least(cgroup: str, **files: str) -> float | None:
    """The share that these files leave, by their paths below the mount."""
    texts = {f"/sys/fs/cgroup/{name}": text for name, text in files.items()}
    return processors.narrowest(cgroup, lambda path: texts.get(path, ""))


def test_a_group_has_the_share_of_its_quota():
    """In version 2 one file says both numbers."""
    assert least(V2, **{"user.slice/app.service/cpu.max": "150000 100000\n"}) == 1.5
    assert least(V2, **{"user.slice/app.service/cpu.max": "max 100000\n"}) is None
    assert least(V2) is None


def test_the_narrowest_of_the_groups_around_counts():
    """Wherever it stands: the kernel obeys them all."""
    files = {"cpu.max": "800000 100000", "user.slice/cpu.max": "50000 100000"}
    assert least(V2, **files, **{"user.slice/app.service/cpu.max": "300000 100000"}) == 0.5
    files["user.slice/cpu.max"] = "max 100000"
    assert least(V2, **files) == 8


def test_in_a_container_our_group_is_the_root_of_the_mount():
    """With a namespace of its own the path says so, without one it is the host's; both are found."""
    assert least("0::/\n", **{"cpu.max": "200000 100000"}) == 2
    assert least("0::/../../elsewhere\n", **{"cpu.max": "200000 100000"}) == 2
    quota = {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    assert least(V1, **quota) == 2.5


def test_version_1_has_a_file_for_each_number():
    """-1 is no quota; of two hierarchies that both say something the narrower one counts."""
    place = "cpu,cpuacct/docker/f00/cpu.cfs_"
    assert least(V1, **{f"{place}quota_us": "50000\n", f"{place}period_us": "100000\n"}) == 0.5
    assert least(V1, **{f"{place}quota_us": "-1\n", f"{place}period_us": "100000\n"}) is None
    assert least(V1, **{f"{place}quota_us": "50000\n"}) is None
    both = {f"{place}quota_us": "300000", f"{place}period_us": "100000", "unified/cpu.max": "max 100000"}
    assert least(HYBRID, **both) == 3
    assert least(HYBRID, **both | {"unified/system.slice/cpu.max": "200000 100000"}) == 2
    assert least("3:cpu:/\n", **{"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}) == 2


def test_each_folder_is_asked_once():
    """From the outermost inwards; groups of other controllers are not asked."""
    asked: list[str] = []
    processors.narrowest(V1 + "0::/a", lambda path: asked.append(path) or "")  # type: ignore[func-returns-value]
    assert asked == [
        *(f"/sys/fs/cgroup/cpu,cpuacct{group}/cpu.cfs_{name}_us"
          for group in ("", "/docker", "/docker/f00") for name in ("quota", "period")),
        *(f"/sys/fs/cgroup{mount}{group}/cpu.max" for mount in ("", "/unified") for group in ("", "/a")),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n", "0::", ":", "max", "x 100000", "100000 0", "1 2 3", "-5 100000", "1.5 1"])
def test_what_is_no_quota_limits_nothing(text):
    """Nor does it fail: the files are the kernel's, and who knows which kernel."""
    assert least("0::/", **{"cpu.max": text}) is None
    assert least(text, **{"cpu.max": "max 100000"}) is None


@pytest.mark.parametrize(
    ("available", "quota", "ours"),
    [(8, None, 8), (8, 2.0, 2), (8, 2.9, 2), (8, 1.5, 1), (8, 0.5, 0), (2, 16.0, 2), (1, None, 1)],
)
def test_only_whole_processors_count(available, quota, ours):
    """Half of one would be had half of the time: whoever uses it up stands still, and all other threads with him."""
    assert processors.whole(available, quota) == ours


def test_beside_one_are_the_others_that_are_ours_all_the_time(monkeypatch):
    """Groups are asked when there is more than one, and once."""
    asked: list[float | None] = [None, 0.5]
    monkeypatch.setattr(processors, "_shares", [])
    monkeypatch.setattr(processors, "group_share", lambda _read: asked.pop(0))
    assert [processors.beside(available) for available in (1, 8, 8, 2, 0)] == [0, 7, 7, 1, 0]
    for quota, others in ((1.5, 0), (0.5, 0), (2.9, 1)):
        monkeypatch.setattr(processors, "_shares", [quota])
        assert processors.beside(8) == others
    assert asked == [0.5]


def test_who_has_no_descriptor_to_look_with_asks_again(monkeypatch, tmp_path):
    """What could not be read is not taken for a group without a quota ever after."""
    monkeypatch.setattr(processors, "_shares", [])
    monkeypatch.setattr(processors, "MOUNT", str(tmp_path))
    ours = [Path(folder) for folder, _ in processors.groups(processors.read("/proc/self/cgroup"))]
    if not ours:
        pytest.skip("this process is in no control group with quotas")
    for folder in ours:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("max", "150000 100000"), ("cfs_quota_us", "150000"), ("cfs_period_us", "100000")):
            (folder / f"cpu.{name}").write_text(text)
    before, taken = resource.getrlimit(resource.RLIMIT_NOFILE), list[int]()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(64, before[0]), before[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/proc/self", os.O_PATH))
        assert processors.beside(8) == 7
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)
    assert processors.beside(8) == 0


def test_files_that_cannot_be_read_say_nothing(tmp_path):
    """A folder, one that is not there, and one with bytes that are no text; a file is read."""
    (tmp_path / "odd").write_bytes(b"\xff 1")
    (tmp_path / "file").write_text("text\n")
    assert processors.read(str(tmp_path)) == processors.read(str(tmp_path / "none")) == ""
    assert processors.share(*processors.read(str(tmp_path / "odd")).split()) is None
    assert processors.read(str(tmp_path / "file")) == "text\n"
    before = len(os.listdir("/proc/self/fd"))
    share = processors.group_share()
    assert share is None or share > 0
    assert len(os.listdir("/proc/self/fd")) == before
