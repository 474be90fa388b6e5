import psutil
import pytest

from store.files import folder_bytes
from store.opening import open_store
from store.readers import page_cache
from store.readers.page_cache import choose_shuffle, fits, group_limits


def test_what_is_far_larger_than_the_memory_does_not_fit():
    assert fits(0)
    assert not fits(psutil.virtual_memory().total)


@pytest.mark.parametrize(("controllers", "name"), [("", "memory.max"), ("cpu,memory", "memory.limit_in_bytes")])
def test_limits_of_a_group_and_of_those_around_it_count(tmp_path, monkeypatch, controllers, name):
    inner = tmp_path / "jobs" / "one"
    inner.mkdir(parents=True)
    (inner / name).write_text("4096\n")
    (inner.parent / name).write_text("max\n")
    (tmp_path / name).write_text("8192\n")
    monkeypatch.setattr(page_cache, "GROUPS", {controllers.split(",")[-1]: (str(tmp_path), name)})
    (groups := tmp_path / "cgroup").write_text(f"7:blkio:/\n4:{controllers}:/jobs/one\n")
    assert list(group_limits(groups)) == [4096, 8192]


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert list(group_limits(tmp_path / "nowhere")) == []


def test_the_shuffle_is_full_as_long_as_the_images_fit(made_up, monkeypatch):
    store = open_store(made_up)
    size = folder_bytes(made_up / "image")
    for limit, expected in ((2 * size, "full"), (2 * size - 2, "window")):
        monkeypatch.setattr(page_cache, "group_limits", lambda limit=limit: [limit])
        assert choose_shuffle(store) == expected
