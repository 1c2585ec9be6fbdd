"""What tests of adapters share: sandboxed Python, where its interpreter is installed."""

import pytest

from stratavm.cli.main import main
from stratavm.sandbox import Python
from tests import needed
from tests.programs.pythons import MODULE


@pytest.fixture(scope="session")
def python():
    """Runs and sessions."""
    needed.program(MODULE)
    made = Python()
    assert made.run("1").value == 1  # it is loaded: no test's time has to do for that on a busy machine
    return made


@pytest.fixture
def strata(capfd):
    """Run the command in this process: its exit code, standard output and standard error."""

    def run(*arguments):
        code = main(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
