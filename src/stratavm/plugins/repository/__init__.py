"""Signed packages of plugins in a folder: added, installed, verified, upgraded, rolled back, collected (ADR-0070).

A package is an OCI artifact. Who may sign what is said by ``Trust``; ``Repository`` keeps the packages.
"""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from stratavm.plugins.repository.artifact import Sealed as Sealed
    from stratavm.plugins.repository.artifact import seal as seal
    from stratavm.plugins.repository.errors import PackageRefused as PackageRefused
    from stratavm.plugins.repository.errors import RepositoryBusy as RepositoryBusy
    from stratavm.plugins.repository.errors import RepositoryDamaged as RepositoryDamaged
    from stratavm.plugins.repository.errors import RepositoryError as RepositoryError
    from stratavm.plugins.repository.errors import SigningUnavailable as SigningUnavailable
    from stratavm.plugins.repository.errors import TrustError as TrustError
    from stratavm.plugins.repository.places import Places as Places
    from stratavm.plugins.repository.repository import Repository as Repository
    from stratavm.plugins.repository.repository import write_package as write_package
    from stratavm.plugins.repository.results import Collected as Collected
    from stratavm.plugins.repository.results import Installed as Installed
    from stratavm.plugins.repository.results import Listed as Listed
    from stratavm.plugins.repository.results import Problem as Problem
    from stratavm.plugins.repository.signing import PrivateKey as PrivateKey
    from stratavm.plugins.repository.trust import Trust as Trust
    from stratavm.plugins.repository.trust import TrustedKey as TrustedKey

_EXPORTS = {
    "Collected": "results",
    "Installed": "results",
    "Listed": "results",
    "PackageRefused": "errors",
    "Places": "places",
    "PrivateKey": "signing",
    "Problem": "results",
    "Repository": "repository",
    "RepositoryBusy": "errors",
    "RepositoryDamaged": "errors",
    "RepositoryError": "errors",
    "Sealed": "artifact",
    "SigningUnavailable": "errors",
    "Trust": "trust",
    "TrustError": "errors",
    "TrustedKey": "trust",
    "seal": "artifact",
    "write_package": "repository",
}

if not TYPE_CHECKING:  # a type checker reads the imports above
    from stratavm.base.importing import exported

    __all__ = sorted(_EXPORTS)
    __getattr__, __dir__ = exported(__name__, _EXPORTS, globals())
