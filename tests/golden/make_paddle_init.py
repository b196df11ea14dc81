"""paddle_init.safetensors: moments of Paddle's initial weights over MobileNetV1 (scale 1.0, 10 classes) and five seeds."""
import numpy as np
import paddle

from common import store
from paddle_common import named_values, small_net

SEEDS = (1, 2, 3, 4, 5)


def moments(values):
    """count, mean, standard deviation, minimum, maximum, kurtosis (3 for a normal, 1.8 for a uniform distribution)."""
    mean, sigma = values.mean(), values.std()
    kurtosis = ((values - mean) ** 4).mean() / sigma ** 4 if sigma else 0
    return np.float64([values.size, mean, sigma, values.min(), values.max(), kurtosis])


def main():
    nets = [named_values(small_net(seed, 1.0)) for seed in SEEDS]
    out = {k: moments(np.concatenate([net[k].ravel() for net in nets]).astype(np.float64)) for k in nets[0]}
    for name, row in out.items():
        if name.endswith("weight"):
            taps = int(np.prod(nets[0][name].shape[1:-1])) if nets[0][name].ndim == 4 else 1
            channels = nets[0][name].shape[0 if ".dw." in name else -1]
            print(f"{name:24s} {nets[0][name].shape} sigma {row[2]:.5f}, sqrt(2/(k*k*C)) {np.sqrt(2 / (taps * channels)):.5f}, "
                  f"range {row[3]:.4f} {row[4]:.4f}, kurtosis {row[5]:.3f}")
    store("paddle_init.safetensors", out, paddle=paddle.__version__, seeds=SEEDS)


if __name__ == "__main__":
    main()
