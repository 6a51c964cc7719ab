"""Measures the operator and what people would use instead, side by side; see docs/performance.md."""
