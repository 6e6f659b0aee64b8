"""A net on two or four processes, connected by gloo, is the net in one process."""

import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import evaluate_centre_view, predict
from alexnet.model import alexnet
from alexnet.model.alexnet import AlexNet, initialise, layers_of
from alexnet.model.net_config import LAYERS, LrnConfig, NetConfig, SpatialNormConfig
from alexnet.model.precision import pick_autocast
from alexnet.model.towers import (
    SINGLE_PROCESS,
    RankLayout,
    gather_rows,
    join_towers,
    local_rows,
    rank_layout,
)
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.train import loop
from alexnet.train.checkpoint import NEWEST, resume, save
from alexnet.train.dropout import draw_dropout_masks
from alexnet.train.inputs import Batch, TrainingSet, load_batches
from alexnet.train.recipe import group_parameters
from alexnet.train.state import TrainState
from images import Images, save_moments_of, write_split
from small_recipe import RECIPE, STD

Tensors = dict[str, Tensor]
Ranks = Callable[..., list[Any]]
Steps = dict[torch.dtype, tuple[Tensors, Tensors, list[float]]]

LAYOUTS = [(2, 2), (2, 1), (4, 2)]  # processes, towers
CLASSES = 5  # 3 for the first tower, 2 for the second
BATCH = 3  # of 20 images: 3, six times, and 2
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    """Run job(layout, *args) in several processes at once; return the results by rank."""
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        yield partial(_run_on_ranks, pool)


def _run_on_ranks(
    pool: ProcessPoolExecutor, count: int, towers: int, job: Callable[..., Any], *args: Any
) -> list[Any]:
    with TemporaryDirectory() as folder:
        common = count, towers, f"file://{folder}/store", job, args
        futures = [pool.submit(_run_rank, rank, *common) for rank in range(count)]
        return [future.result(100) for future in futures]


def _run_rank(
    rank: int, count: int, towers: int, store: str, job: Callable[..., Any], args: Any
) -> Any:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=count)
    try:
        with redirect_stdout(io.StringIO()):
            return job(rank_layout(towers, "cpu"), *args)
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def data(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 images in shards, and their moments."""
    folder = tmp_path_factory.mktemp("data")
    write_split(folder / "train", images, [n % CLASSES for n in range(20)])
    (folder / "moments").mkdir()
    save_moments_of(folder / "moments", sum_images(images))
    return folder


def net_of(layout: RankLayout, dtype: torch.dtype = torch.float32, **changes: Any) -> AlexNet:
    """Return a net a sixteenth as wide, with the same weights on any ranks."""
    config = NetConfig(CLASSES, 16, **changes)
    whole = AlexNet(config)
    initialise(whole, 0, STD, dict.fromkeys(LAYERS, 0.1))
    net = AlexNet(config, layout)
    net.load_state_dict(local_rows(whole.state_dict(), layout))
    return net.to(dtype).to(memory_format=torch.channels_last)


def training_set(data: Path, batch_size: int = BATCH) -> TrainingSet:
    recipe = replace(RECIPE, batch_size=batch_size)
    return TrainingSet.load(Shards(data / "train"), load_moments(data / "moments"), recipe, 0, CPU)


def start_of(layout: RankLayout, dtype: torch.dtype = torch.float32) -> TrainState:
    return TrainState.start(net_of(layout, dtype), RECIPE.schedule)


def max_error(found: Tensors, wanted: Tensors) -> float:
    """Return the largest difference in any tensor, relative to its largest value."""
    assert found.keys() == wanted.keys()
    assert all(found[name].shape == wanted[name].shape for name in wanted)
    return max(
        float((found[name].double() - t.double()).abs().max() / t.double().abs().max())
        for name, t in wanted.items()
    )


# join_towers


def join_and_differentiate(
    layout: RankLayout, dtype: torch.dtype, same_loss: bool, shape: list[int]
) -> tuple[Tensor, ...]:
    """Return this tower's input, the output, and the input's gradient.

    Tower 0's loss multiplies the output by weights, tower 1's by twice these weights.
    """
    torch.manual_seed(layout.tower)
    whole = shape[1]
    x = torch.randn(shape[0], layout.local_size(whole), *shape[2:]).to(dtype).requires_grad_()
    out = join_towers(x, layout, whole, same_loss)
    weights = torch.arange(out.numel()).view(shape).to(dtype) % 8 * (layout.tower + 1)
    (gradient,) = torch.autograd.grad((out * weights).sum(), [x])
    return x.detach(), out.detach(), gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_joining_concatenates_and_sums_the_gradients_of_all_towers(
    ranks: Ranks, dtype: torch.dtype
) -> None:
    for shape in ([3, 8], [3, 5], [2, 6, 3, 3], [0, 4]):
        one, two = ranks(2, 2, join_and_differentiate, dtype, False, shape)
        both = torch.cat([one[0], two[0]], dim=1)
        assert torch.equal(one[1], both)
        assert torch.equal(two[1], both)
        weights = torch.arange(both.numel()).view(shape).to(dtype) % 8 * 3
        assert torch.equal(torch.cat([one[2], two[2]], dim=1), weights)


def test_with_the_same_loss_each_tower_keeps_its_own_gradient(ranks: Ranks) -> None:
    one, two = ranks(2, 2, join_and_differentiate, torch.float32, True, [3, 5])
    weights = torch.arange(15.0).view(3, 5) % 8
    assert torch.equal(one[2], weights[:, :3])
    assert torch.equal(two[2], 2 * weights[:, 3:])


# one step


def photos(count: int) -> Tensor:
    x = 50 * torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def masks_of(net: AlexNet, images: int) -> tuple[Tensor, Tensor]:
    neurons = net.layout.local_slice(net.config.layer_neurons)
    return draw_dropout_masks(0, 0, slice(0, images), neurons, 0.5, CPU)


def outputs_of(net: AlexNet, x: Tensor) -> Tensors:
    """Return the output of each layer of this process for x, with dropout on."""
    outputs: Tensors = {}
    for name, layer in layers_of(net).items():
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out}))
    with torch.no_grad():
        net(x, masks_of(net, len(x)))
    return dict(outputs)


def one_step(
    layout: RankLayout, dtype: torch.dtype, changes: dict[str, Any]
) -> tuple[Tensors, Tensors]:
    """Return this process's layer outputs, and the gradients of the whole net."""
    net = net_of(layout, dtype, **changes)
    outputs = outputs_of(net, photos(4).to(dtype))
    masks = masks_of(net, 4)
    loss = F.cross_entropy(net(photos(4).to(dtype), masks), torch.arange(4))
    names, weights = zip(*net.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, weights), strict=True))
    return outputs, gather_rows(gradients, layout)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"maps": {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "conv6": 256}},
    {
        "layer1_order": "lrn_pool_relu",
        "spatial_norm": SpatialNormConfig(k=1.0, size=3, alpha=1e-3, beta=0.75),
        "dropout_form": "inverted",
        "neurons": 4096 - 16,  # 255 at this width, not divisible by two towers
    },
]


def outputs_on_threads(
    dtype: torch.dtype, changes: dict[str, Any], patch: pytest.MonkeyPatch
) -> list[Tensors]:
    """Return the layer outputs of both towers, on two threads of this process."""
    box: list[Any] = [None, None]
    both_ready = Barrier(2)

    def join_threads(x: Tensor, layout: RankLayout, size: int, same_loss: bool = False) -> Tensor:
        box[layout.tower] = x
        both_ready.wait()
        out = torch.cat(box, dim=1)
        both_ready.wait()
        return out

    patch.setattr(alexnet, "join_towers", join_threads)
    nets = [net_of(RankLayout(tower, 2), dtype, **changes) for tower in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(partial(outputs_of, x=photos(4).to(dtype)), nets))


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 4e-6)])
@pytest.mark.parametrize("changes", VARIANTS, ids=["paper", "six_conv", "original"])
def test_outputs_and_gradients_are_those_of_one_process(
    ranks: Ranks,
    changes: dict[str, Any],
    dtype: torch.dtype,
    within: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They equal those of two towers in one process, and approximate those of the whole net.

    A library may sum in another order for half the maps; here it does from conv4 on.
    """
    outputs, gradients = one_step(SINGLE_PROCESS, dtype, changes)
    towers = ranks(2, 2, one_step, dtype, changes)
    threads = outputs_on_threads(dtype, changes, monkeypatch)
    for (found, gathered), expected in zip(towers, threads, strict=True):
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert max_error(gathered, gradients) < within
    both = {name: torch.cat([found[name] for found, _ in towers], dim=1) for name in outputs}
    assert max_error(both, outputs) < within


def test_towers_are_independent_before_conv3(ranks: Ranks) -> None:
    """Changing conv1 and conv2 of tower 2 changes tower 1 only from conv3 on."""
    for name, same in [("conv1", True), ("conv2", True), ("conv3", False), ("fc6", False)]:
        (before, _), (after, _) = (ranks(2, 2, changed_output, by, name) for by in (0.0, 0.01))
        assert torch.equal(before, after) is same, name


def changed_output(layout: RankLayout, by: float, layer: str) -> Tensor:
    """Return a layer's output after adding `by` to the first weights of tower 2."""
    net = net_of(layout)
    if layout.tower:
        for conv in (net.conv1, net.conv2):
            conv.weight.data += by
    return outputs_of(net, photos(2))[layer]


def test_under_autocast_results_differ_only_by_the_rounding_of_bf16(ranks: Ranks) -> None:
    """Activations are sent in bf16."""
    whole = bf16_logits(SINGLE_PROCESS)
    first, second = ranks(2, 2, bf16_logits)
    assert torch.equal(first, second)
    assert max_error({"": first}, {"": whole}) < 2**-6


def bf16_logits(layout: RankLayout) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return net_of(layout)(photos(4)).float().detach()


# ten steps


def ten_steps(
    layout: RankLayout, data: Path, dtype: torch.dtype
) -> tuple[Tensors, Tensors, list[float]]:
    """Return this rank's weights, the whole net's weights and velocities, and the losses.

    Ten steps are an epoch and a half.
    """
    state, losses = start_of(layout, dtype), []
    for epoch in range(2):
        batches = load_batches(training_set(data), epoch, 0, layout)
        losses += take_steps(state, islice(batches, 10 - len(losses)), dtype)
    weights = {name: weight.detach() for name, weight in state.net.state_dict().items()}
    return weights, gather_rows(state.tensors(), layout), losses


def take_steps(
    state: TrainState, batches: Iterable[Batch], dtype: torch.dtype = torch.float32
) -> list[float]:
    """Train on these batches at lr 0.003; return the losses."""
    groups, losses = group_parameters(state.net, RECIPE, 0, 0.003), []
    for x, labels, images in batches:
        batch = Batch(x.to(dtype), labels, images)
        loss = loop.train_step(state, groups, batch, 0, pick_autocast("fp32", CPU))
        state.advance(loss * images)
        losses.append(float(loss))
    return losses


def relative_distance(found: Tensors, wanted: Tensors) -> float:
    """Return the largest |difference| / |tensor|."""
    return max(float((found[name] - t).norm() / t.norm()) for name, t in wanted.items())


@pytest.mark.slow
@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_ten_steps_in_float64(
    ranks: Ranks, data: Path, single: Steps, count: int, towers: int
) -> None:
    """Weights and velocities agree within 1e-10 (measured: 2e-15), losses within 1e-12.

    Ranks that have the same tower keep its weights equal to the bit.
    """
    _, whole, losses = single[torch.float64]
    results = ranks(count, towers, ten_steps, data, torch.float64)
    for rank, (weights, found, found_losses) in enumerate(results):
        assert max_error(found, whole) < 1e-10
        assert found_losses == pytest.approx(losses, rel=1e-12)
        assert found_losses == results[0][2]
        same = results[rank % towers][0]
        assert all(torch.equal(weights[name], same[name]) for name in same)


@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_ten_steps_in_float32(
    ranks: Ranks, data: Path, single: Steps, count: int, towers: int
) -> None:
    """Losses agree within 1e-5 (measured: 6e-7), and weights move the same way.

    Most weights agree within a few ULP (2e-6). But where two values of a pool, or a value and the
    threshold of a ReLU, are one ULP apart, another order of sums sends a gradient another way. That
    happens once here.
    """
    _, whole, losses = single[torch.float32]
    for _, found, found_losses in ranks(count, towers, ten_steps, data, torch.float32):
        assert relative_distance(found, whole) < 0.05
        assert found_losses == pytest.approx(losses, rel=1e-5)


@pytest.fixture(scope="module")
def single(data: Path) -> Steps:
    """Ten steps in one process, in both dtypes."""
    return {
        dtype: ten_steps(SINGLE_PROCESS, data, dtype) for dtype in (torch.float64, torch.float32)
    }


# data


@pytest.mark.parametrize("replicas", [2, 3, 4])
def test_a_batch_does_not_depend_on_the_number_of_replicas(data: Path, replicas: int) -> None:
    """Images, crops, reflections, colours and labels are the same, in the last small batch too."""
    whole_set = training_set(data)
    layouts = [RankLayout(replica=n, replicas=replicas) for n in range(replicas)]
    divided = [load_batches(whole_set, 1, 0, layout) for layout in layouts]
    for batch, *parts in zip(load_batches(whole_set, 1), *divided, strict=True):
        assert torch.equal(torch.cat([part.x for part in parts]), batch.x)
        assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
        assert {part.images for part in parts} == {batch.images} == {len(batch.x)}
        sizes = [len(part.x) for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_dropout_does_not_depend_on_which_rank_has_a_neuron() -> None:
    whole = draw_dropout_masks(3, 5, slice(0, 7), slice(0, 255), 0.5, CPU)
    for layer, mask in enumerate(whole):
        for rows, columns in ((slice(2, 6), slice(0, 128)), (slice(0, 7), slice(130, 255))):
            part = draw_dropout_masks(3, 5, rows, columns, 0.5, CPU)[layer]
            assert torch.equal(part, mask[rows, columns])


def two_steps(layout: RankLayout, data: Path) -> tuple[Tensors, list[float]]:
    """Train on batches of 19 images and 1 image, of which one replica has none."""
    state = start_of(layout)
    losses = take_steps(state, load_batches(training_set(data, 19), 0, 0, layout))
    assert len(losses) == 2
    return gather_rows(state.net.state_dict(), layout), losses


def test_a_replica_may_have_no_image_of_a_batch(ranks: Ranks, data: Path) -> None:
    whole, losses = two_steps(SINGLE_PROCESS, data)
    for count, towers in ((2, 1), (4, 2)):
        for found, found_losses in ranks(count, towers, two_steps, data):
            assert relative_distance(found, whole) < 1e-3
            assert found_losses == pytest.approx(losses, rel=1e-5)


def errors_of(layout: RankLayout, data: Path) -> dict[str, float]:
    mean = torch.from_numpy(load_moments(data / "moments").mean_image)
    batch = 6  # four batches of the 20 images
    return evaluate_centre_view(net_of(layout), Shards(data / "train"), mean, batch)


def test_validation_is_the_same_on_all_ranks(ranks: Ranks, data: Path) -> None:
    expected = errors_of(SINGLE_PROCESS, data)
    assert ranks(2, 1, errors_of, data) == [expected] * 2
    assert ranks(3, 1, errors_of, data) == [expected] * 3
    by_towers = ranks(4, 2, errors_of, data)
    assert by_towers == [by_towers[0]] * 4
    assert by_towers[0] == pytest.approx(expected, rel=1e-6)


def predictions_of(layout: RankLayout, data: Path) -> Tensors:
    mean = torch.from_numpy(load_moments(data / "moments").mean_image).double()
    found = predict(net_of(layout, torch.float64), Shards(data / "train"), mean, 6)
    return {name: t for name, t in vars(found).items() if t is not None}


def test_predictions_are_the_same_on_all_ranks(ranks: Ranks, data: Path) -> None:
    """In float64: replicas give the bits of one process, towers its values within 1e-6."""
    expected = predictions_of(SINGLE_PROCESS, data)
    for count, towers in ((3, 1), (4, 2)):
        for found in ranks(count, towers, predictions_of, data):
            assert found.keys() == expected.keys()
            for name, t in expected.items():
                if towers == 1 or not t.is_floating_point():
                    assert torch.equal(found[name], t), (count, towers, name)
                torch.testing.assert_close(found[name], t, rtol=1e-6, atol=0)


# files


def test_local_rows_of_all_towers_are_the_whole_net() -> None:
    """Every tensor is divided along its first dimension; tower 0 has three of the five classes."""
    whole = net_of(SINGLE_PROCESS).state_dict()
    one, two = (local_rows(whole, RankLayout(tower, 2)) for tower in (0, 1))
    assert all(torch.equal(torch.cat([one[name], two[name]]), whole[name]) for name in whole)
    assert [len(part["fc8.bias"]) for part in (one, two)] == [3, 2]
    shapes = {name: t.shape for name, t in net_of(RankLayout(1, 2)).state_dict().items()}
    assert shapes == {name: t.shape for name, t in two.items()}


def train_epochs(layout: RankLayout, data: Path, folder: Path, epochs: int) -> Tensors:
    shards, recipe = Shards(data / "train"), replace(RECIPE, epochs=epochs, batch_size=BATCH)
    net = net_of(layout)
    loop.train(net, shards, shards, load_moments(data / "moments"), recipe, 0, folder, 2)
    return gather_rows(net.state_dict(), layout)


def resume_and_save(layout: RankLayout, folder: Path, to: Path) -> None:
    save(to, resume(folder, start_of(layout)))


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensors]:
    """Return the checkpoint's folder and the weights of three epochs in one process."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, train_epochs(SINGLE_PROCESS, data, folder, 3)


@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_a_checkpoint_holds_the_whole_net(
    ranks: Ranks,
    uninterrupted: tuple[Path, Tensors],
    data: Path,
    tmp_path: Path,
    count: int,
    towers: int,
) -> None:
    """Other ranks that load and save it write the same file."""
    folder, _ = uninterrupted
    copy = tmp_path / folder.name  # a checkpoint holds the name of its run
    copy.mkdir()
    ranks(count, towers, resume_and_save, folder, copy)
    assert (copy / NEWEST).read_bytes() == (folder / NEWEST).read_bytes()


def test_one_process_resumes_a_run_of_two_towers_and_the_reverse(
    ranks: Ranks, uninterrupted: tuple[Path, Tensors], data: Path, tmp_path: Path
) -> None:
    _, whole = uninterrupted
    by_two, by_one = tmp_path / "two", tmp_path / "one"
    by_two.mkdir()
    by_one.mkdir()
    ranks(2, 2, train_epochs, data, by_two, 1)
    assert relative_distance(train_epochs(SINGLE_PROCESS, data, by_two, 3), whole) < 0.01
    train_epochs(SINGLE_PROCESS, data, by_one, 1)
    for found in ranks(2, 2, train_epochs, data, by_one, 3):
        assert relative_distance(found, whole) < 0.01


def error_of_resuming(layout: RankLayout, data: Path, folder: Path, name: str) -> str:
    """Return the error of a training whose towers look into different folders."""
    try:
        train_epochs(layout, data, folder / str(layout.tower) / name, 1)
    except InputError as error:
        return str(error)
    return ""


def test_ranks_that_find_different_checkpoints_are_stopped(
    ranks: Ranks, uninterrupted: tuple[Path, Tensors], data: Path, tmp_path: Path
) -> None:
    name = uninterrupted[0].name
    (tmp_path / "1" / name).mkdir(parents=True)
    (tmp_path / "0").symlink_to(uninterrupted[0].parent)
    for error in ranks(2, 2, error_of_resuming, data, tmp_path, name):
        assert "not the same folder for all processes" in error


def test_a_net_that_cannot_be_divided_is_rejected() -> None:
    with pytest.raises(InputError, match=r"model.towers is 1, not divisible by launcher.towers=2"):
        AlexNet(NetConfig(CLASSES, 16, towers=1), RankLayout(0, 2))
    with pytest.raises(InputError, match="across_towers needs the maps of all towers"):
        AlexNet(NetConfig(CLASSES, 16, lrn=LrnConfig(across_towers=True)), RankLayout(0, 2))
