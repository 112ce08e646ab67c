"""The events and analytics face: `/event`, `/stats/event`, `/analytics/streak` and what is near."""
