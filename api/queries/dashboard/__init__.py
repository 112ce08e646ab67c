"""What the dashboard shows: a module a page. Names instead of bare ids, and no more rows than are
asked for."""
