"""Examples of every command, for its `--help`: what is to be typed, and what comes of it."""

from typing import Any

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("milestream up", "all of it, with demo data flowing"),
        ("milestream up --no-demo --json", "nothing but the stack; its addresses as JSON"),
    ),
    "worker": (("milestream worker", "one worker; start one a core"),),
    "projector": (("milestream projector", "one projector"),),
    "api": (("MILESTREAM_API_PORT=8081 milestream api", "the API on another port"),),
    "topics create": (("milestream topics create", "once, and after each upgrade"),),
    "topics list": (
        ("milestream topics list", "which there are, with how many partitions"),
        ("milestream topics list --json", "the same, a line of JSON each"),
    ),
    "migrate": (("milestream migrate", "after each upgrade, with the owner's login"),),
    "apply": (
        ("milestream apply -f rules.yaml", "put the definitions of a file in force"),
        ("milestream apply -f rules.yaml -f events.yaml --actor jo", "those of two, by jo"),
    ),
    "keys create": (
        ("milestream keys create --project shop --role producer", "a key for a backend"),
    ),
    "keys list": (("milestream keys list --project shop", "all keys of a project"),),
    "keys revoke": (
        ("milestream keys revoke --project shop --key k_1f0c", "refuse it from now on"),
    ),
    "keys rotate": (
        (
            "milestream keys rotate --project shop --key k_1f0c --until 2026-12-01T00:00:00Z",
            "another secret; the old one is good until then",
        ),
    ),
    "keys link": (("milestream keys link --project shop --key k_1f0c", "a link to the dashboard"),),
    "keys jwt-secret": (
        ("milestream keys jwt-secret --project shop", "what your backend signs tokens with"),
    ),
    "keys jwt-public": (
        ("milestream keys jwt-public --project shop --file public.pem", "or check with this key"),
    ),
    "keys token": (
        ("milestream keys token --project shop --user joe --hours 2", "a token to try things out"),
    ),
    "analysts create": (
        ("milestream analysts create --project shop", "a login; its address is for psql and BI"),
    ),
    "analysts list": (("milestream analysts list --project shop", "who has one"),),
    "analysts revoke": (
        ("milestream analysts revoke --project shop --user analyst_585f", "end it at once"),
    ),
    "import": (
        ("milestream import challenge-logs logs.ndjson", "a file, once, however often it is said"),
        ("milestream import events events.csv.gz --project shop --skip-bad", "without bad lines"),
    ),
    "dead-letters list": (
        ("milestream dead-letters list --reason invalid --limit 10", "the newest ten of a kind"),
        ("milestream dead-letters list --json", "all, a line of JSON each"),
    ),
    "dead-letters redrive": (
        ("milestream dead-letters redrive --reason unknown_event --dry-run", "look first"),
        ("milestream dead-letters redrive --reason unknown_event", "then send them again"),
    ),
    "rebuild": (
        ("milestream rebuild", "all read models, while the old ones serve"),
        ("milestream rebuild members points_balances", "two of them"),
    ),
    "recalculate": (
        ("milestream recalculate -f rules.yaml", "a report of what would change"),
        ("milestream recalculate -f rules.yaml --apply --max-points 100000", "put it right"),
        (
            "milestream recalculate --cancel 5b0c1c3e-8a53-4a7e-9f0c-5a55f6d2f0a1 --project shop",
            "end one that is not finished",
        ),
    ),
    "simulate": (
        ("milestream simulate -f rules.yaml --from-topics", "against all that was recorded"),
        ("milestream simulate -f rules.yaml --input logs.ndjson --json", "against a file"),
    ),
    "export": (
        ("milestream export --project shop --to files", "all tables and views"),
        (
            "milestream export --project shop --to files -t event_log --since 2026-11-01T00:00:00Z",
            "what came since then",
        ),
    ),
    "export-member": (
        ("milestream export-member --project shop --user joe", "all that is held of joe"),
    ),
    "forget-member": (("milestream forget-member --project shop --user joe", "forget who joe is"),),
    "verify": (("milestream verify", "fold all inputs again and compare"),),
    "doctor": (
        ("milestream doctor", "a line each: ok, or what to do"),
        ("milestream doctor --json", "the same for scripts; exit code 1 where something is wrong"),
    ),
    "demo-traffic": (("milestream demo-traffic --rate 50", "50 records a second"),),
}
"""By command, as it is typed after `milestream`."""


def add_examples(name: str, command: Any) -> None:
    """Put the examples of a command, and of those below it, under its help."""
    below = getattr(command, "commands", {})
    for each, sub in below.items():
        sub.epilog = _shown(f"{name} {each}")
    command.epilog = None if below else _shown(name)


def _shown(name: str) -> str:
    # An empty line is where the help breaks a line.
    lines = [
        f"{comes[0].upper()}{comes[1:]}:\n\n  {typed}" for typed, comes in EXAMPLES.get(name, ())
    ]
    return "\n\n".join(["Examples", *lines])
