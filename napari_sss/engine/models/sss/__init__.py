"""The networks that SSS adds to SAM-2: DFE, the semantic head, the self-sorting memory."""
