"""Read models of a project as Parquet files."""
