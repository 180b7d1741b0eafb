"""Steps of a training pipeline that keep masks small and images as they were decoded."""
