"""Passes over loop programs, one file each."""
