"""Settings with topics and a migrated database of their own, for whole flows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.topics_create import create_topics
from projections.migrate import migrate
from schemas.settings import Settings


@pytest.fixture
def settings(fresh_settings: Callable[[], Settings], tmp_path: Path) -> Settings:
    """Fresh topics and tables on the real servers, and a data dir for this test's workers."""
    given = fresh_settings().model_copy(update={"data_dir": tmp_path / "data", "metrics_port": 0})
    create_topics(given)
    migrate(given.database_url)
    return given
