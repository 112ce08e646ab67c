"""The aggregates: what a member has, how a fact changes it, what that is to announce."""
