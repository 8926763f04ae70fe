"""What ``doctor`` looks at: the installation, the machine, and where files go."""
