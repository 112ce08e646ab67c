cd /work/main; export PATH=$PWD/.venv/bin:$PATH
for i in 1 2 3 4; do timeout -s KILL 500 python -m pytest -q -x tests/integration/test_up.py -k "no_part or killed_whole" > /tmp/w/up$i.txt 2>&1; tail -n 2 /tmp/w/up$i.txt; done
