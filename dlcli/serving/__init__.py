"""The one loading path of a finished run, and export."""
