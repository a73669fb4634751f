"""Config files of mlframe-xgboost."""
