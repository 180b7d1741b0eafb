"""What keeps a checkout of this project in order: pages of its configs and of its API."""
