# %% [markdown]
# # 00 · Start here
#
# **What can be done in one minute?**
#
# | | |
# |---|---|
# | **Goals** | open the course; look at one photo with rain |
# | **Before you start** | nothing |
# | **Time** | 2 minutes; the cells take 5 s on a CPU with two cores, 5 s on a GPU |
# | **Papers** | Ren et al., CVPR 2019 (arXiv 1901.09221) |

# %% tags=["bootstrap"]
# On Colab this cell installs the course package; everywhere else it only imports it.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("derain_edu") is None:
    source = "git+https://github.com/derain-edu/derain-edu"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source]
    subprocess.run(pip, check=True)

import derain_edu as de

# %% [markdown]
# We take a clean photo and add light rain.

# %%
clean = de.load_photo("china", long_side=320)  # (3, H, W)
rainy = de.add_rain(clean, "light", seed=0).rainy  # (3, H, W)
score = de.psnr(rainy, clean)
print(f"the rainy photo has {score:.1f} dB")
assert 15 < score < 40

# %% [markdown]
# A score near 40 dB would be hard to tell from the clean photo.
