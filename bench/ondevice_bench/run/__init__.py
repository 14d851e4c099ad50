"""Running a plan: workers, how they are launched, in which order, and what is kept."""
