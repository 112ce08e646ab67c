"""The numbered migrations."""

from projections.migrate import migrations


def test_each_migration_has_a_number_of_its_own() -> None:
    numbers = [migration.version for migration in migrations()]
    assert numbers == sorted(set(numbers))
