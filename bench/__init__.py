"""Measures services side by side with a bare Django project."""
