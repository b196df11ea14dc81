"""paddle_mobilenet.safetensors: one training step and ten losses of PaddlePaddle's MobileNetV1 (scale 0.25).

The starting weights are read from the stored file, since warming is not the same on every CPU; --fresh warms anew."""
import numpy as np
import paddle

from common import f32, frozen_pictures, nchw, normalise, store, stored
from paddle_common import load_values, named_gradients, named_values, small_net

SEED, BATCH, LR, MOMENTUM, STEPS = 1, 8, 0.1, 0.9, 10
WARM_STEPS, FILE = 80, "paddle_mobilenet.safetensors"


def copy_of(net, dtype):
    copy = small_net()
    copy.set_state_dict(net.state_dict())
    if dtype == "float64":
        copy.to(dtype="float64")
    copy.train()
    return copy


def warm(net):
    """Some steps of training. At Paddle's initial weights (tiny depthwise ones, 8 pictures) the steps are chaotic:
    rounding alone makes two runs part within three steps, so that ten losses would test nothing."""
    net.train()
    pictures, labels = normalise(frozen_pictures(3, 256)), np.random.default_rng(4).integers(0, 10, 256)
    rule = paddle.optimizer.Momentum(learning_rate=0.1, momentum=MOMENTUM, parameters=net.parameters())
    for step in range(WARM_STEPS):
        at = 32 * step % 256
        one_step(net, paddle.to_tensor(nchw(pictures[at:at + 32])), paddle.to_tensor(labels[at:at + 32]))
        rule.step()
        rule.clear_grad()


def one_step(net, x, y):
    logits = net(x)
    loss = paddle.nn.functional.cross_entropy(logits, y)
    loss.backward()
    return logits.numpy(), float(loss)


def ten_losses(net, x, y, lr):
    rule = paddle.optimizer.Momentum(learning_rate=lr, momentum=MOMENTUM, parameters=net.parameters())
    losses = []
    for _ in range(STEPS):
        losses.append(one_step(net, x, y)[1])
        rule.step()
        rule.clear_grad()
    return np.array(losses)


def main():
    net, start = small_net(SEED), stored(FILE, "init/")
    if start:
        load_values(net, start)
    else:
        warm(net)
    images = normalise(frozen_pictures(7, BATCH))
    labels = np.array([3, 1, 4, 1, 5, 9, 2, 6], dtype=np.int32)
    y = paddle.to_tensor(labels.astype(np.int64))
    out = {"batch/images": images, "batch/labels": labels, "hyper": f32([LR, MOMENTUM])}
    out.update({f"init/{k}": f32(v) for k, v in named_values(net).items()})
    results = {}
    for dtype in ("float32", "float64"):
        x = paddle.to_tensor(nchw(images).astype(dtype))
        step = copy_of(net, dtype)
        logits, loss = one_step(step, x, y)
        trained = copy_of(net, dtype)
        losses = ten_losses(trained, x, y, LR)
        trained.eval()
        results[dtype] = dict(logits=logits, loss=loss, grad=named_gradients(step), after1=named_values(step), losses=losses,
                              final=named_values(trained), final_logits=trained(x).numpy())
        step.eval()
        results[dtype]["eval_logits"] = step(x).numpy()
    exact, rounded = results["float64"], results["float32"]
    out["logits"], out["loss"] = f32(exact["logits"]), f32([exact["loss"]])
    out["losses"], out["losses_f32"] = np.float64(exact["losses"]), f32(rounded["losses"])
    out["eval_logits"], out["final_logits"] = f32(exact["eval_logits"]), f32(exact["final_logits"])
    out.update({f"grad/{k}": f32(v) for k, v in exact["grad"].items()})
    out.update({f"after1/{k}": f32(v) for k, v in exact["after1"].items() if "running_" in k})
    out.update({f"final_norm/{k}": np.float64([np.linalg.norm(v.ravel())]) for k, v in exact["final"].items()})
    report(exact, rounded)
    store(FILE, out, paddle=paddle.__version__, numpy=np.__version__, arithmetic="f64")


def report(exact, rounded):
    """How far Paddle's own f32 run is from its f64 run: the room a correct f32 implementation needs."""
    def far(a, b):
        return np.abs(a - b).max() / np.abs(b).max()
    grads = {k: far(rounded["grad"][k], v) for k, v in exact["grad"].items()}
    worst = max(grads, key=grads.get)
    print("f32 against f64: logits", far(rounded["logits"], exact["logits"]), "worst gradient", worst, grads[worst])
    print("losses f64", exact["losses"], "\nlosses f32", rounded["losses"])
    print("final norms", max(abs(np.linalg.norm(rounded["final"][k].ravel()) / np.linalg.norm(v.ravel()) - 1)
                             for k, v in exact["final"].items()))
    print("eval, final logits", far(rounded["eval_logits"], exact["eval_logits"]), far(rounded["final_logits"], exact["final_logits"]))


if __name__ == "__main__":
    main()
