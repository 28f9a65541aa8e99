"""Functions as jobs: tasks, schedules, an executor, and the workers that run them."""
