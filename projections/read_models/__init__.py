"""The read models, grouped as the migrations are: data and pure functions only."""
