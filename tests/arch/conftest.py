"""What tests of builds share."""

import pytest


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of compiled files: what one test of a module has compiled, another one need not."""
    return tmp_path_factory.mktemp("cache")
