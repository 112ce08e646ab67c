"""Settings with topics and a migrated database of their own, for whole flows."""

from pathlib import Path

import pytest

from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.stack import FreshSettings


@pytest.fixture
def settings(fresh_settings: FreshSettings, tmp_path: Path) -> Settings:
    """Fresh topics and tables on the real servers, and a data dir for this test's workers."""
    given = fresh_settings.migrated(data_dir=tmp_path / "data", metrics_port=0)
    create_topics(given)
    return given
