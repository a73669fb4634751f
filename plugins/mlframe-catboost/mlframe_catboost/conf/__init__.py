"""Config files of mlframe-catboost."""
