"""One module per command of `milestream`; `deploy.cli` imports each only when it is asked for."""
