"""What a node knows of itself: settings, counters, tasks, ids."""
