"""One module for each dependency: its ``probes()`` yields what there is to check."""
