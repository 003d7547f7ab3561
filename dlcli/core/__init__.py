"""The training core: knows neither pictures nor words."""
