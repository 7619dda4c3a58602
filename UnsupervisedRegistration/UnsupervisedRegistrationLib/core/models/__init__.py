"""Model files, their cards, and which model suits a pair."""
