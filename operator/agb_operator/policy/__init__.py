"""What to do, decided from one value, the `Input`: pure, it knows neither time, chance nor I/O."""
