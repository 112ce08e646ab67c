"""The processor: Faust agents fold member-keyed inputs into state and events, exactly once."""
