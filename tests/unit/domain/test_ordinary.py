"""The compiled part of the fold is there wherever it can be."""

import shlex
import shutil
import sysconfig
from pathlib import Path

from processor.domain import ordinary


def test_it_is_compiled_wherever_a_c_compiler_is() -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    could_be = shutil.which(compiler) is not None and headers.exists()
    assert (ordinary.COMPILED is not None) == could_be


def test_what_is_fastest_is_compiled_where_that_is_there() -> None:
    assert ordinary.fastest is (ordinary.COMPILED or ordinary.in_python)
