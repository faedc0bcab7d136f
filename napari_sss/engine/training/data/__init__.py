"""From folders of volumes to batches of slices, views of them and mixtures of views."""
