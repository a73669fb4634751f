"""Config files of mlframe-river."""
