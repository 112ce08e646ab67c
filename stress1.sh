. /tmp/w/env.sh
for i in 1 2 3 4 5 6 7 8; do timeout -s KILL 200 python -m pytest -q -x tests/integration/processor/test_exactly_once.py -k leaves_cleanly 2>&1 | grep -E "passed|failed|assert|Error" | head -8; done
