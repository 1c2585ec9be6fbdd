"""What tests of ``stratavm.run`` share: both ways to run."""

import pytest

import stratavm
from tests.unit.sandbox.programs import program


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def isolate(request):
    """Whether to run in a process of its own."""
    return request.param


@pytest.fixture
def run(isolate):
    """``stratavm.run``, both ways; text unless asked otherwise."""

    def call(body: str, *args: object, **options: object):
        return stratavm.run(program(body), *args, **{"text": True, "isolate": isolate, **options})

    return call
