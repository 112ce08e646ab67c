"""Explanations: which inputs led to a reward, a balance, a progress, a streak or a tier, by which
rules."""
