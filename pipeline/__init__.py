"""What happens to the data: one file per step of the cycle, the plan, the runner."""
