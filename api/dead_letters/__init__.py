"""Dead letters: read, and sent back to where they came from, by command and by the dashboard.

`redriven` knows which were, `reading` reads them from their topic, `redriving` sends them.
"""
