"""Captioned scenes whose truth, and whose faults, are known."""
