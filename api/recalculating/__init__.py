"""Recalculations: history under other definitions, reported, and corrected where it is asked for.

`asking` checks what is asked for, `inputs` and `outdated` whether that can be done. `run` does it
step by step, `lease` lets one process at a time work at it, `process` is that process where it was
asked for over HTTP, which ends with its `parent`, and `starting` starts it.
"""
