"""`python -m epskew.bench`: an expert-parallel library, through its adapter, on epskew's routing and under its oracle."""
