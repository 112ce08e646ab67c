"""A bar is for who looks; what is said beside it is for all."""

import pytest

from deploy.progress import bar


def work() -> None:
    with bar("folded") as show:
        show(1, None, "1 record")
        show(3, 4, "3 records", what="folded [again]")
        show.say("line [2] is bad")
        show(9, 4)  # more has come meanwhile
        show(0, 0)


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    work()
    assert tuple(capsys.readouterr()) == ("", "line [2] is bad\n")


def test_a_terminal_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bar("folded") as show:
        show(3, 4, "3 records", what="folded [again]")
        print("for a file")
    out, err = capsys.readouterr()
    assert out == "for a file\n"
    assert "folded [again]" in err
    assert "75%" in err
    assert "3 records" in err
