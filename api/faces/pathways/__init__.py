"""The pathway logs face: who did what at the activities of a pathway."""
