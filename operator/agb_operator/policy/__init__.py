"""What to do, decided from facts alone: pure, it knows neither time, chance nor I/O."""
