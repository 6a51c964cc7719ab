"""The picture of the dashboard in the docs: real data of a real run, drawn without Grafana.

`__main__` runs operator, simulator and Prometheus and lets sessions come and go; `draw` turns the dashboard's queries
and what Prometheus answers into an SVG file.
"""
