"""From what someone types to paths: parts, repositories and what is still wanted."""
