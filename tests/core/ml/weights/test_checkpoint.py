"""Weights files: what is read, and what each kind of bad one is told."""

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geolocator_gui.errors import WeightsError
from geolocator_gui.ml.backbone import create_backbone
from geolocator_gui.ml.model_loading import build_backbone
from geolocator_gui.ml.weights.architectures import recognise_architecture
from geolocator_gui.ml.weights.checkpoint import read_state_dict


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(5)
    return create_backbone("test_convnext").state_dict()


def upstream(state, prefix="model."):
    return {"logit_scale": torch.tensor(2.5), **{prefix + key: value for key, value in state.items()}}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("prefix", ["model.", "module.model.", ""])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_every_form_gives_the_bare_weights(tmp_path, state, prefix, form):
    path = tmp_path / "weights.bin"
    full = upstream(state, prefix)
    if prefix.startswith("module."):
        full["module.logit_scale"] = full.pop("logit_scale")
    if form == "safetensors":
        save_file(full, path)
    else:
        torch.save(full, path, _use_new_zipfile_serialization=form == "zip")
    checkpoint = read_state_dict(path)
    assert same(checkpoint.state, state)
    assert checkpoint.logit_scale == 2.5
    assert recognise_architecture(checkpoint.state) == "test_convnext"


def test_a_trainer_s_checkpoint_and_parameters_are_read(tmp_path, state):
    wrapped = {
        "epoch": 3,
        "best": 0.5,
        "args": {"lr": 1e-3, "names": ["a", "b"]},
        "state_dict": {key: torch.nn.Parameter(value) for key, value in state.items()},
    }
    torch.save(wrapped, tmp_path / "last.pt")
    checkpoint = read_state_dict(tmp_path / "last.pt")
    assert same(checkpoint.state, state)
    assert checkpoint.logit_scale is None


class Evil:
    def __reduce__(self):
        return os.system, ("touch GEOLOCATOR_WAS_HERE",)


def zip_of(pickled, data=(), compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        for key, content in data:
            archive.writestr(f"archive/data/{key}", content)
    return buffer.getvalue()


def saved(thing, **options):
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    return buffer.getvalue()


def hostile_zip():
    return zip_of(pickle.dumps({"stem.0.weight": Evil()}, protocol=2))


def rewritten(thing, change, compression=zipfile.ZIP_STORED):
    """A torch zip whose pickle and storages went through `change`."""
    source, target = zipfile.ZipFile(io.BytesIO(saved(thing))), io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name in source.namelist():
            archive.writestr(name, change(name, source.read(name)))
    return target.getvalue()


def huge_claim():
    """A storage of 2^31-1 numbers over four bytes of data."""
    tensor = {"a": torch.zeros(65536 * 2)}
    number, huge = struct.pack("<i", 65536 * 2), struct.pack("<i", 2**31 - 1)
    return rewritten(
        tensor, lambda name, data: data.replace(b"J" + number, b"J" + huge) if name.endswith("pkl") else data
    )


def bytearray_bomb():
    return zip_of(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x40\x85R.")


def memo_bomb():
    return zip_of(b"\x80\x02]r\xff\xff\xff\x7f\x8e\xff\xff\xff\xff\xff\x00\x00\x00.")


def tar_of_a_pickle():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("\x80\x02]."))
    return buffer.getvalue()


def bad_safetensors(header, body=b""):
    return struct.pack("<Q", len(header)) + header + body


BAD = {
    "empty": (lambda: b"", r"empty \(0 bytes\)"),
    "lfs": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 354400320\n",
        "Git-LFS pointer, not the weights themselves, whose 354 MB",
    ),
    "html": (lambda: b"\n<!DOCTYPE html><html><body>Quota exceeded</body></html>", "web page"),
    "text": (lambda: b"Not Found\n", "text file"),
    "zeros": (lambda: bytes(5000), "only zeros"),
    "noise": (lambda: bytes(range(7, 256)) * 9, "not a weights file that the program knows"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(range(100)), "gzip archive"),
    "bare tensor": (lambda: saved(torch.ones(3)), "single tensor"),
    "bare tensor, legacy": (
        lambda: saved(torch.ones(3), _use_new_zipfile_serialization=False),
        "single tensor",
    ),
    "no weights": (lambda: saved({"epoch": 3}), "holds no weights"),
    "list": (lambda: saved([torch.ones(3)]), "holds a list"),
    "half a state": (lambda: saved({"a": torch.ones(3), "epoch": 4}), "'epoch' is a int, not a tensor"),
    "cut zip": (lambda: saved({"a": torch.ones(5000)})[:9000], "cut off or damaged"),
    "cut legacy": (
        lambda: saved({"a": torch.ones(5000)}, _use_new_zipfile_serialization=False)[:9000],
        "cut off or damaged: it claims more numbers than its 9000 bytes",
    ),
    "plain zip": (lambda: zip_of(b"").replace(b"data.pkl", b"read.txt"), "ZIP archive that PyTorch did not"),
    "hostile zip": (hostile_zip, r"would call '(posix|nt)\.system'; nothing was run"),
    "hostile pickle": (lambda: pickle.dumps(Evil(), protocol=2), r"would call '(posix|nt)\.system'"),
    "hostile pickle 4": (lambda: pickle.dumps(Evil(), protocol=4), r"would call '(posix|nt)\.system'"),
    "hostile legacy": (
        lambda: saved({"a": Evil()}, _use_new_zipfile_serialization=False),
        r"would call '(posix|nt)\.system'",
    ),
    "foreign object": (
        lambda: saved({"args": Path("x"), "a": torch.ones(2)}),
        r"would call 'pathlib\.(_local\.)?PosixPath'",
    ),
    "plain pickle": (lambda: pickle.dumps({"a": 1}, protocol=2), "Python pickle, but not one that PyTorch"),
    "two of a name": (
        lambda: zip_of(pickle.dumps({}, 2), [("a", b""), ("A", b"")]),
        "two entries in it have the same name",
    ),
    "two archives": (
        lambda: saved({"a": torch.ones(3)}).replace(b"archive/version", b"Brchive/version"),
        "more than what PyTorch writes",
    ),
    "tar that begins like a pickle": (tar_of_a_pickle, "tar archive"),
    "deflated": (
        lambda: rewritten({"a": torch.zeros(100000)}, lambda _, data: data, zipfile.ZIP_DEFLATED),
        "more memory than its own size",
    ),
    "huge claim": (huge_claim, "claims more numbers than the file holds"),
    "repeated storage": (
        lambda: saved(dict.fromkeys(map(str, range(99)), torch.zeros(100000))),
        "claim more numbers than the file holds",
    ),
    "expanded": (lambda: saved({"a": torch.zeros(1).expand(10**9)}), "claims more numbers than"),
    "bytearray bomb": (bytearray_bomb, "would call 'builtins.bytearray'"),
    "memo bomb": (memo_bomb, "damaged|no weights file needs"),
    "too many objects": (lambda: zip_of(b"\x80\x02" + b"]" * 300_000 + b"."), "far more objects"),
    "not a number": (
        lambda: saved({"a": torch.ones(3), "b": torch.tensor([1.0, torch.nan])}),
        "NaN or Inf",
    ),
    "infinite": (lambda: saved({"b": torch.tensor([1.0, float("inf")])}), r"NaN or Inf \(1 of 1 .* 'b'"),
    "sparse": (lambda: saved({"a": torch.eye(3).to_sparse()}), "would call 'torch._utils._rebuild_sparse"),
    "cut safetensors": (
        lambda: bad_safetensors(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}', bytes(8)),
        "of a safetensors file only",
    ),
    "huge safetensors": (
        lambda: struct.pack("<Q", 1 << 31) + b'{"a":' + bytes(900),
        "header is larger than that of any model",
    ),
    "broken safetensors": (lambda: bad_safetensors(b'{"a":{"dtype"}'), "header is damaged"),
    "empty safetensors": (lambda: bad_safetensors(b"{}"), "holds no weights"),
    "false safetensors": (
        lambda: bad_safetensors(b'{"a":{"dtype":"F32","shape":[900],"data_offsets":[0,4]}}', bytes(4)),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_bad_file_has_its_own_message(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    make, message = BAD[kind]
    path = tmp_path / "weights.pth"
    path.write_bytes(make())
    with pytest.raises(WeightsError, match=message) as caught:
        read_state_dict(path)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.what
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path], "the file was opened in a way that ran something"


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="this is a folder"):
        read_state_dict(tmp_path)


BOMBS = ["bytearray bomb", "memo bomb", "huge claim", "expanded", "too many objects"]


@pytest.mark.skipif(sys.platform != "linux", reason="address-space limits are Linux's here")
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_take_no_memory(tmp_path, kind):
    path = tmp_path / "weights.pth"
    path.write_bytes(BAD[kind][0]())
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from geolocator_gui.errors import WeightsError\n"
        "from geolocator_gui.ml.weights.weights_file import inspect\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try: inspect(Path(sys.argv[1]))\n"
        "except WeightsError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(run.stdout) < 48_000, "kilobytes"
    assert resource.RLIM_INFINITY  # the parent keeps its own limits


def test_another_architecture_is_told_in_words(tmp_path, state):
    foreign = {"conv1.weight": torch.ones(64, 3, 7, 7), "layer1.0.conv1.weight": torch.ones(64, 64, 1, 1)}
    with pytest.raises(WeightsError, match=r"not the weights of a ConvNeXt \(keys such as conv1.weight"):
        recognise_architecture(foreign, tmp_path)
    with pytest.raises(
        WeightsError, match=r"not the weights of a convnext_atto: 27 keys missing .*99 keys of another"
    ):
        build_backbone("convnext_atto", state, tmp_path)


def test_missing_extra_and_misshapen_keys_are_listed(tmp_path, state):
    changed = dict(state)
    changed["head.extra"] = changed.pop("head.norm.bias")
    changed["stem.0.bias"] = torch.ones(7)
    with pytest.raises(WeightsError) as caught:
        build_backbone("test_convnext", changed, tmp_path / "w.pth")
    text = str(caught.value)
    assert "1 key missing (head.norm.bias)" in text
    assert "1 key too many (head.extra)" in text
    assert "1 key of another shape (stem.0.bias is 7 instead of 24)" in text


@pytest.mark.parametrize(
    "name",
    [
        "convnext_zepto_rms_ols", "convnext_atto", "convnext_atto_ols", "convnext_atto_rms", "convnext_femto",
        "convnext_pico_ols", "convnext_nano", "convnext_tiny", "convnext_tiny_hnf", "convnext_small",
        "convnext_base", "convnext_large", "convnext_large_mlp", "convnext_xlarge", "convnext_xxlarge",
        "convnextv2_atto", "convnextv2_nano", "convnextv2_small", "convnextv2_base", "convnextv2_huge",
        "test_convnext", "test_convnext2", "test_convnext3",
    ],
)  # fmt: skip
def test_every_convnext_is_recognised_from_its_weights(name):
    with torch.device("meta"):
        assert recognise_architecture(create_backbone(name).state_dict()) == name


def test_a_vision_transformer_loads_when_it_is_named(tmp_path):
    torch.manual_seed(0)
    module = create_backbone("vit_tiny_patch16_224", image_size=96)
    path = tmp_path / "vit.pth"
    torch.save({f"model.{key}": value for key, value in module.state_dict().items()}, path)
    state = read_state_dict(path).state
    with pytest.raises(WeightsError, match="--architecture"):
        recognise_architecture(state, path)
    rebuilt = build_backbone("vit_tiny_patch16_224", state, path)
    images = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(rebuilt(images), module.eval()(images))
        assert rebuilt(torch.rand(1, 3, 64, 128)).shape == (1, 192)


def test_prefixes_in_any_order_come_off(tmp_path, state):
    path = tmp_path / "w.pth"
    torch.save({f"model.module.{key}": value for key, value in state.items()}, path)
    assert not any(key.startswith(("module.", "model.")) for key in read_state_dict(path).state)


def test_words_about_what_is_no_state_dict(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({1: torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="its tensors have no names"):
        read_state_dict(path)
    torch.save({"": torch.zeros(3)}, path)
    with pytest.raises(WeightsError) as caught:
        recognise_architecture(read_state_dict(path).state, path)
    assert "keys such as" not in str(caught.value)


def test_numbers_of_a_setting_are_named():
    from geolocator_gui.configs import IndexConfig
    from geolocator_gui.errors import ConfigError

    with pytest.raises(ConfigError, match="number 1 of the setting 'bbox' should be") as caught:
        IndexConfig.from_mapping({"bbox": (float("nan"), 0.0, 1.0, 1.0)})
    assert "bbox.0" not in str(caught.value)
