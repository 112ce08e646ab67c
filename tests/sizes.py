"""How large the large tests are: small enough to wait for, or as asked by a variable."""

import os

FULL_RECORDS = 300_000
RECORDS = int(os.environ.get("MILESTREAM_TEST_RECORDS", "60000"))
"""Records of the runs under kills; `MILESTREAM_TEST_RECORDS=300000 make test` is the full size."""
PAUSES = RECORDS / FULL_RECORDS
"""What the pauses between kills are of those in full size: as many kills meet work under way."""
