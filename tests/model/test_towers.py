"""The net over two and four processes is the net in one: real ranks, that meet by gloo."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
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
from alexnet.inference.ten_views import centre_errors, predict
from alexnet.model import alexnet
from alexnet.model.alexnet import AlexNet, initialise, layers_of
from alexnet.model.layer_shapes import LAYERS, LRN
from alexnet.model.towers import (
    SINGLE_PROCESS,
    RankLayout,
    gather_rows,
    joined,
    local_rows,
    rank_layout,
)
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.train import loop
from alexnet.train.checkpoint import NEWEST, Position, resume, save
from alexnet.train.dropout import dropout_masks
from alexnet.train.inputs import Feed, inputs
from alexnet.train.recipe import groups_of
from images import Images, write_split
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
    """Runs job(place, *args) in several processes at once; what each returns, by rank."""
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        yield partial(_on_ranks, pool)


def _on_ranks(
    pool: ProcessPoolExecutor, count: int, towers: int, job: Callable[..., Any], *args: Any
) -> list[Any]:
    with TemporaryDirectory() as folder:
        how = count, towers, f"file://{folder}/store", job, args
        return [each.result(100) for each in [pool.submit(_rank, n, *how) for n in range(count)]]


def _rank(
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
    save_moments(folder / "moments", sum_images(images))
    return folder


def net_of(place: RankLayout, dtype: torch.dtype = torch.float32, **shape: Any) -> AlexNet:
    """A sixteenth as wide; the same weights anywhere."""
    whole = AlexNet(CLASSES, 16, **shape)
    initialise(whole, 0, STD, dict.fromkeys(LAYERS, 0.1))
    net = AlexNet(CLASSES, 16, **shape, place=place)
    net.load_state_dict(local_rows(whole.state_dict(), place))
    return net.to(dtype).to(memory_format=torch.channels_last)


def run_of(place: RankLayout, data: Path, dtype: torch.dtype = torch.float32) -> loop._Run:
    recipe = replace(RECIPE, batch_size=BATCH)
    feed = Feed.of(Shards(data / "train"), load_moments(data / "moments"), recipe, 0, CPU)
    return loop._Run.of(net_of(place, dtype), feed)


def off(found: Tensors, wanted: Tensors) -> float:
    """The greatest difference of any tensor, relative to the greatest in it."""
    assert found.keys() == wanted.keys()
    assert all(found[name].shape == wanted[name].shape for name in wanted)
    return max(
        float((found[name].double() - t.double()).abs().max() / t.double().abs().max())
        for name, t in wanted.items()
    )


# -- joining ---------------------------------------------------------------------------------------


def joins(
    place: RankLayout, dtype: torch.dtype, alike: bool, shape: list[int]
) -> tuple[Tensor, ...]:
    """What this tower puts in, what comes out, and its gradient, where its own share of the loss
    multiplies what comes out by 1 or 2.
    """
    torch.manual_seed(place.tower)
    whole = shape[1]
    x = torch.randn(shape[0], place.share(whole), *shape[2:]).to(dtype).requires_grad_()
    out = joined(x, place, whole, alike)
    weights = torch.arange(out.numel()).view(shape).to(dtype) % 8 * (place.tower + 1)
    (gradient,) = torch.autograd.grad((out * weights).sum(), [x])
    return x.detach(), out.detach(), gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_joined_is_cat_and_its_gradient_the_sum(ranks: Ranks, dtype: torch.dtype) -> None:
    for shape in ([3, 8], [3, 5], [2, 6, 3, 3], [0, 4]):
        one, two = ranks(2, 2, joins, dtype, False, shape)
        both = torch.cat([one[0], two[0]], dim=1)
        assert torch.equal(one[1], both)
        assert torch.equal(two[1], both)
        weights = torch.arange(both.numel()).view(shape).to(dtype) % 8 * 3
        assert torch.equal(torch.cat([one[2], two[2]], dim=1), weights)


def test_where_all_do_the_same_each_gradient_is_its_own(ranks: Ranks) -> None:
    one, two = ranks(2, 2, joins, torch.float32, True, [3, 5])
    weights = torch.arange(15.0).view(3, 5) % 8
    assert torch.equal(one[2], weights[:, :3])
    assert torch.equal(two[2], 2 * weights[:, 3:])


# -- one step --------------------------------------------------------------------------------------


def photos(count: int) -> Tensor:
    x = 50 * torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def masks_of(net: AlexNet, images: int) -> tuple[Tensor, Tensor]:
    return dropout_masks(0, 0, slice(0, images), net.place.own(net.neurons), 0.5, CPU)


def outputs_of(net: AlexNet, x: Tensor) -> Tensors:
    """What each layer here says to x, with dropout on."""
    outputs: Tensors = {}
    for name, layer in layers_of(net).items():
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out}))
    with torch.no_grad():
        net(x, masks_of(net, len(x)))
    return dict(outputs)


def one_step(
    place: RankLayout, dtype: torch.dtype, shape: dict[str, Any]
) -> tuple[Tensors, Tensors]:
    """What each layer here says; gradients of the whole net."""
    net = net_of(place, dtype, **shape)
    outputs = outputs_of(net, photos(4).to(dtype))
    masks = masks_of(net, 4)
    loss = F.cross_entropy(net(photos(4).to(dtype), masks), torch.arange(4))
    names, weights = zip(*net.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, weights), strict=True))
    return outputs, gather_rows(gradients, place)


SHAPES: list[dict[str, Any]] = [
    {},
    {"maps": {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "conv6": 256}},
    {
        "layer1_order": "lrn_pool_relu",
        "spatial_norm": {"k": 1.0, "size": 3, "alpha": 1e-3, "beta": 0.75},
        "dropout_form": "inverted",
        "neurons": 4096 - 16,  # 255 here: the towers' shares differ
    },
]


def in_turn(dtype: torch.dtype, shape: dict[str, Any], patch: pytest.MonkeyPatch) -> list[Tensors]:
    """Both towers in this process, two threads that hand each other what they have."""
    box: list[Any] = [None, None]
    both_are_there = Barrier(2)

    def handed(x: Tensor, place: RankLayout, whole: int, alike: bool = False) -> Tensor:
        box[place.tower] = x
        both_are_there.wait()
        out = torch.cat(box, dim=1)
        both_are_there.wait()
        return out

    patch.setattr(alexnet, "joined", handed)
    nets = [net_of(RankLayout(tower, 2), dtype, **shape) for tower in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(partial(outputs_of, x=photos(4).to(dtype)), nets))


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 4e-6)])
@pytest.mark.parametrize("shape", SHAPES, ids=["paper", "six_conv", "original"])
def test_forward_and_backward(
    ranks: Ranks,
    shape: dict[str, Any],
    dtype: torch.dtype,
    within: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the bit as two towers in one process; as the whole net but for the order of sums.

    (Which a library may choose anew for half the maps: here for conv4 and what follows it.)
    """
    outputs, gradients = one_step(SINGLE_PROCESS, dtype, shape)
    towers = ranks(2, 2, one_step, dtype, shape)
    for (found, summed), turn in zip(towers, in_turn(dtype, shape, monkeypatch), strict=True):
        assert all(torch.equal(found[name], turn[name]) for name in turn)
        assert off(summed, gradients) < within
    both = {name: torch.cat([found[name] for found, _ in towers], dim=1) for name in outputs}
    assert off(both, outputs) < within


def test_before_conv3_a_tower_knows_nothing_of_the_other(ranks: Ranks) -> None:
    """Other weights in conv1 and conv2 of tower 2 change nothing in tower 1 before conv3."""
    for name, same in [("conv1", True), ("conv2", True), ("conv3", False), ("fc6", False)]:
        (as_it_was, _), (changed, _) = (ranks(2, 2, disturbed, by, name) for by in (0.0, 0.01))
        assert torch.equal(as_it_was, changed) is same, name


def disturbed(place: RankLayout, by: float, layer: str) -> Tensor:
    net = net_of(place)
    if place.tower:
        for changed in (net.conv1, net.conv2):
            changed.weight.data += by
    return outputs_of(net, photos(2))[layer]


def test_bf16(ranks: Ranks) -> None:
    """Autocast: activations travel in bf16; what they differ by is its rounding."""
    whole = bf16_logits(SINGLE_PROCESS)
    first, second = ranks(2, 2, bf16_logits)
    assert torch.equal(first, second)
    assert off({"": first}, {"": whole}) < 2**-6


def bf16_logits(place: RankLayout) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return net_of(place)(photos(4)).float().detach()


# -- ten steps -------------------------------------------------------------------------------------


def ten_steps(
    place: RankLayout, data: Path, dtype: torch.dtype
) -> tuple[Tensors, Tensors, list[float]]:
    """Weights here, weights and velocities of the whole net, the losses: an epoch and a half."""
    run, losses = run_of(place, data, dtype), []
    groups = groups_of(run.net, run.recipe, 0, 0.003)
    for epoch in range(2):
        batches = inputs(run.feed, epoch, 0, place)
        for images, (x, labels) in zip([3] * 6 + [2], batches, strict=True):
            if (step := len(losses)) < 10:
                loss = loop._step(run, groups, x.to(dtype), labels, images, step)
                losses.append(float(loss))
    weights = {name: weight.detach() for name, weight in run.net.state_dict().items()}
    moving = {f"velocity.{name}": velocity for name, velocity in run.velocities.items()}
    return weights, gather_rows(weights | moving, place), losses


def turned(found: Tensors, wanted: Tensors) -> float:
    """The greatest |difference| / |tensor|."""
    return max(float((found[name] - t).norm() / t.norm()) for name, t in wanted.items())


@pytest.mark.slow
@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_ten_steps(ranks: Ranks, data: Path, alone: Steps, count: int, towers: int) -> None:
    """In float64, weights and velocities within 1e-10 (found: 2e-15), losses within 1e-12.

    Ranks that have the same part of the net keep it the same to the bit.
    """
    _, whole, losses = alone[torch.float64]
    each = ranks(count, towers, ten_steps, data, torch.float64)
    for rank, (weights, found, told) in enumerate(each):
        assert off(found, whole) < 1e-10
        assert told == pytest.approx(losses, rel=1e-12)
        assert told == each[0][2]
        same = each[rank % towers][0]
        assert all(torch.equal(weights[name], same[name]) for name in same)


@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_ten_steps_in_float32(
    ranks: Ranks, data: Path, alone: Steps, count: int, towers: int
) -> None:
    """Losses within 1e-5 (found: 6e-7), and weights that moved the same way.

    Most are within some ULP (2e-6), but where a pool has two winners an ULP apart, or a ReLU is an
    ULP from zero, two orders of sums send a gradient two ways: once here, in one process.
    """
    _, whole, losses = alone[torch.float32]
    for _, found, told in ranks(count, towers, ten_steps, data, torch.float32):
        assert turned(found, whole) < 0.05
        assert told == pytest.approx(losses, rel=1e-5)


@pytest.fixture(scope="module")
def alone(data: Path) -> Steps:
    return {
        dtype: ten_steps(SINGLE_PROCESS, data, dtype) for dtype in (torch.float64, torch.float32)
    }


# -- data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_batch_is_the_same_however_many_share_it(data: Path, parts: int) -> None:
    """Images, crops, reflections, colours and labels, the last and smaller batch too."""
    feed = run_of(SINGLE_PROCESS, data).feed
    places = [RankLayout(part=part, parts=parts) for part in range(parts)]
    shared = [inputs(feed, 1, 0, place) for place in places]
    for (x, labels), *each in zip(inputs(feed, 1, 0), *shared, strict=True):
        assert torch.equal(torch.cat([images for images, _ in each]), x)
        assert torch.equal(torch.cat([some for _, some in each]), labels)
        assert max(len(some) for _, some in each) - min(len(some) for _, some in each) <= 1


def test_dropout_is_the_same_wherever_a_neuron_is() -> None:
    whole = dropout_masks(3, 5, slice(0, 7), slice(0, 255), 0.5, CPU)
    for layer, mask in enumerate(whole):
        for rows, columns in ((slice(2, 6), slice(0, 128)), (slice(0, 7), slice(130, 255))):
            part = dropout_masks(3, 5, rows, columns, 0.5, CPU)[layer]
            assert torch.equal(part, mask[rows, columns])


def lonely_steps(place: RankLayout, data: Path) -> tuple[Tensors, list[float]]:
    """Batches of 19 and of 1 image: one part has none of the last."""
    run, losses = run_of(place, data), []
    recipe = replace(run.recipe, batch_size=19)
    run = replace(run, feed=replace(run.feed, recipe=recipe))
    groups = groups_of(run.net, recipe, 0, 0.003)
    for images, (x, labels) in zip((19, 1), inputs(run.feed, 0, 0, place), strict=True):
        losses.append(float(loop._step(run, groups, x, labels, images, len(losses))))
    return gather_rows(run.net.state_dict(), place), losses


def test_a_part_without_images(ranks: Ranks, data: Path) -> None:
    whole, losses = lonely_steps(SINGLE_PROCESS, data)
    for count, towers in ((2, 1), (4, 2)):
        for found, told in ranks(count, towers, lonely_steps, data):
            assert turned(found, whole) < 1e-3
            assert told == pytest.approx(losses, rel=1e-5)


def errors_of(place: RankLayout, data: Path) -> dict[str, float]:
    mean = torch.from_numpy(load_moments(data / "moments").mean_image)
    batch = 6  # four batches of the 20 images
    return centre_errors(net_of(place), Shards(data / "train"), mean, batch)


def test_validation_is_the_same_on_all_ranks(ranks: Ranks, data: Path) -> None:
    alone = errors_of(SINGLE_PROCESS, data)
    assert ranks(2, 1, errors_of, data) == [alone] * 2
    assert ranks(3, 1, errors_of, data) == [alone] * 3
    shared = ranks(4, 2, errors_of, data)
    assert shared == [shared[0]] * 4
    assert shared[0] == pytest.approx(alone, rel=1e-6)


def predictions_of(place: RankLayout, data: Path) -> Tensors:
    mean = torch.from_numpy(load_moments(data / "moments").mean_image).double()
    found = predict(net_of(place, torch.float64), Shards(data / "train"), mean, 6)
    return {name: t for name, t in vars(found).items() if t is not None}


def test_predictions_are_the_same_on_all_ranks(ranks: Ranks, data: Path) -> None:
    """In float64: parts of the batch give the bits of one process, towers its numbers."""
    alone = predictions_of(SINGLE_PROCESS, data)
    for count, towers in ((3, 1), (4, 2)):
        for found in ranks(count, towers, predictions_of, data):
            assert found.keys() == alone.keys()
            for name, t in alone.items():
                if towers == 1 or not t.is_floating_point():
                    assert torch.equal(found[name], t), (count, towers, name)
                torch.testing.assert_close(found[name], t, rtol=1e-6, atol=0)


# -- on disk ---------------------------------------------------------------------------------------


def test_parts_make_the_whole() -> None:
    """Every tensor of the net, cut along its first dimension, the fifth class in tower 1."""
    whole = net_of(SINGLE_PROCESS).state_dict()
    one, two = (local_rows(whole, RankLayout(tower, 2)) for tower in (0, 1))
    assert all(torch.equal(torch.cat([one[name], two[name]]), whole[name]) for name in whole)
    assert [len(part["fc8.bias"]) for part in (one, two)] == [3, 2]
    shapes = {name: t.shape for name, t in net_of(RankLayout(1, 2)).state_dict().items()}
    assert shapes == {name: t.shape for name, t in two.items()}


def trained(place: RankLayout, data: Path, folder: Path, epochs: int) -> Tensors:
    shards, recipe = Shards(data / "train"), replace(RECIPE, epochs=epochs, batch_size=BATCH)
    net = net_of(place)
    loop.train(net, shards, shards, load_moments(data / "moments"), recipe, 0, folder, 2)
    return gather_rows(net.state_dict(), place)


def saved_again(place: RankLayout, data: Path, folder: Path, to: Path) -> None:
    run = run_of(place, data)
    how = run.net, run.velocities, run.loss
    save(to, *how, resume(folder, *how, Position(0, 0, 0, RECIPE.schedule, [])))


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensors]:
    """A folder with the checkpoint of a run of three epochs in one process, and its weights."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, trained(SINGLE_PROCESS, data, folder, 3)


@pytest.mark.parametrize(("count", "towers"), LAYOUTS)
def test_a_checkpoint_is_the_whole_nets(
    ranks: Ranks,
    straight: tuple[Path, Tensors],
    data: Path,
    tmp_path: Path,
    count: int,
    towers: int,
) -> None:
    """Loaded and saved by other ranks it is the same file; gone on with, the same run."""
    folder, _ = straight
    again = tmp_path / folder.name  # a checkpoint tells of which run it is
    again.mkdir()
    ranks(count, towers, saved_again, data, folder, again)
    assert (again / NEWEST).read_bytes() == (folder / NEWEST).read_bytes()


def test_one_process_goes_on_where_two_towers_stopped_and_they_where_it_did(
    ranks: Ranks, straight: tuple[Path, Tensors], data: Path, tmp_path: Path
) -> None:
    _, whole = straight
    by_two, by_one = tmp_path / "two", tmp_path / "one"
    by_two.mkdir()
    by_one.mkdir()
    ranks(2, 2, trained, data, by_two, 1)
    assert turned(trained(SINGLE_PROCESS, data, by_two, 3), whole) < 0.01
    trained(SINGLE_PROCESS, data, by_one, 1)
    for found in ranks(2, 2, trained, data, by_one, 3):
        assert turned(found, whole) < 0.01


def seen_checkpoints(place: RankLayout, data: Path, folder: Path, name: str) -> str:
    try:
        trained(place, data, folder / str(place.tower) / name, 1)
    except InputError as error:
        return str(error)
    return ""


def test_ranks_that_find_different_checkpoints_stop(
    ranks: Ranks, straight: tuple[Path, Tensors], data: Path, tmp_path: Path
) -> None:
    name = straight[0].name
    (tmp_path / "1" / name).mkdir(parents=True)
    (tmp_path / "0").symlink_to(straight[0].parent)
    for told in ranks(2, 2, seen_checkpoints, data, tmp_path, name):
        assert "not the same folder for all processes" in told


def test_a_net_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(InputError, match=r"model.towers is 1: the net cannot be cut in 2"):
        AlexNet(CLASSES, 16, towers=1, place=RankLayout(0, 2))
    with pytest.raises(InputError, match="across_towers mixes maps"):
        AlexNet(CLASSES, 16, lrn=LRN | {"across_towers": True}, place=RankLayout(0, 2))
