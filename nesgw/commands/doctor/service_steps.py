"""The step of nesgw doctor for what the service's user may read and write. Needs root, who may look with its eyes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesgw.commands.check_config import access_mistakes
from nesgw.commands.doctor.examination import Finding, Step, failed, ok, skipped
from nesgw.config import access, loader
from nesgw.config.loader import Loaded
from nesgw.config.schema import Config
from nesgw.config.secrets import NO_SECRETS
from nesgw.errors import EX_CONFIG


@dataclass(frozen=True, slots=True)
class ServiceCase:
    """A configuration that is sound, as far as it was read."""

    source: Path
    config: Config


def _files(case: ServiceCase) -> Finding:
    user = access.service_user()
    if user is None:
        return skipped("the service is not installed here: there is no user nesgw")
    if os.geteuid() == user.pw_uid:
        return ok(f"{user.pw_name}, the service's user, looks itself: each of the next steps reads with its rights")
    if os.geteuid() != 0:
        return skipped(
            f"whether {user.pw_name}, the service's user, can read them is for root to see: sudo nesgw doctor"
        )
    loaded = Loaded(loader.open_document(case.source), case.config, NO_SECRETS)
    problems = [mistake.problem for mistake in access_mistakes(loaded, loader.files(case.source))]
    if problems:
        return failed(problems[0], *problems[1:], exit_code=EX_CONFIG, blocks=False)
    return ok(f"{user.pw_name}, the service's user, can read its files and write to its folder")


SERVICE_STEPS: Final[tuple[Step[ServiceCase], ...]] = (Step("service's files", _files),)
