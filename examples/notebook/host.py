# %% [markdown]
# # The temperature of the sea
#
# `remora.sync` has the same names as `remora`, without `async`: it works in any cell, in any order.

# %%
import os
from concurrent.futures import ThreadPoolExecutor

from plugin import Hour, Reading

from remora import sync

BACKEND = os.environ.get("REMORA_BACKEND", "asyncio")

# %%
# The manager stays open from cell to cell. What is still open when the notebook ends is closed then.
manager = sync.Manager.from_file("remora.toml", backend="trio" if BACKEND == "trio" else "asyncio").open()
thermometer = manager.plugin("thermometer", Hour, Reading)

# %%
# One call.
print(thermometer.execute(Hour(6)))

# %%
# Many at once, from threads: they share one process and one pipe.
with ThreadPoolExecutor(8) as pool:
    readings = list(pool.map(thermometer.execute, map(Hour, range(0, 24, 3))))
for reading in readings:
    print(f"{reading.hour:2}:00 {reading.celsius:5.1f} °C", "#" * round(reading.celsius))

# %%
# How is the plugin?
print(manager.overall_health().status)

# %%
# Close it before you change the configuration, and run the second cell again.
manager.close()
