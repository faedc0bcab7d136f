"""The methods: one file each, all behind one interface."""
