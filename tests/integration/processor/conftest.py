"""Settings with topics of their own for each test of the processor."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.topics_create import create_topics
from schemas.settings import Settings


@pytest.fixture
def settings(fresh_settings: Callable[[], Settings], tmp_path: Path) -> Settings:
    """Fresh topics on the real broker, and a data dir for this test's workers."""
    given = fresh_settings().model_copy(update={"data_dir": tmp_path / "data", "metrics_port": 0})
    create_topics(given)
    return given
