"""The tab in which a scan is annotated."""
