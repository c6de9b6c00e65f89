"""Pictures of every kind in, tensors through, pictures out; an error for everything else."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.errors import DerainError
from derain_edu.images import check_batch, read_picture, to_pil, to_tensor
from derain_edu.picture_files import check_save_path, save_picture

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)  # (H, W, 3)
TRUTH = torch.tensor(PIXELS.transpose(2, 0, 1).astype(np.float32)) / 255  # (3, 5, 7)


def png(pixels: np.ndarray, depth: int = 16) -> bytes:
    """Write a PNG by hand, so that the reader is not tested against its own writer."""
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    big_endian = pixels.astype(">u2" if depth == 16 else "u1")
    rows = b"".join(b"\0" + big_endian[y].tobytes() for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(
        b"IEND", b""
    )


# ------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "pil", "array", "tensor", "batch"])
def test_every_carrier_gives_the_same_tensor(kind, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    source = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "pil": Image.fromarray(PIXELS),
        "array": PIXELS,
        "tensor": TRUTH,
        "batch": TRUTH[None],
    }[kind]
    tensor = to_tensor(source)
    assert tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert torch.equal(tensor, TRUTH)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PIXELS.astype(np.uint16) * 257, TRUTH),
        (PIXELS.astype(np.float64) / 255, TRUTH),
        (PIXELS.astype(np.float32) / 255, TRUTH),
        (PIXELS[:, ::-1], TRUTH.flip(2)),  # a view with a negative stride
        (PIXELS[..., 0], TRUTH[:1].expand(3, -1, -1)),
        (PIXELS[..., :1], TRUTH[:1].expand(3, -1, -1)),
    ],
)
def test_arrays_of_every_type(array, expected):
    assert torch.allclose(to_tensor(array), expected, atol=1e-7)


def test_array_with_alpha():
    alpha = RNG.integers(0, 256, (5, 7, 1), dtype=np.uint8)
    picture = read_picture(np.concatenate((PIXELS, alpha), axis=2))
    assert torch.equal(picture.rgb, TRUTH)
    assert np.array_equal(np.asarray(picture.alpha), alpha[..., 0])


def test_uint8_and_half_tensors():
    assert torch.equal(to_tensor((TRUTH * 255).round().byte()), TRUTH)
    assert torch.allclose(to_tensor(TRUTH.half()), TRUTH, atol=1e-3)


def test_a_tensor_is_not_changed_and_loses_its_gradient():
    tensor = TRUTH.clone().requires_grad_()
    assert not to_tensor(tensor).requires_grad
    assert torch.equal(tensor, TRUTH)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, tmp_path):
    """The truth is written out by hand: what each EXIF value says about row 0 and column 0."""
    upright = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p[::-1].transpose(1, 0, 2),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: p[:, ::-1].transpose(1, 0, 2),
    }[orientation](PIXELS)
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "held.png", exif=exif)
    result = np.asarray(to_pil(to_tensor(tmp_path / "held.png")))
    assert np.array_equal(result, upright)


def test_grey_comes_back_grey():
    picture = read_picture(Image.fromarray(PIXELS[..., 0]))
    assert torch.equal(picture.rgb, TRUTH[:1].expand(3, -1, -1))
    result = picture.give_back(picture.rgb)
    assert result.mode == "L" and np.array_equal(np.asarray(result), PIXELS[..., 0])


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_comes_back(mode, tmp_path):
    image = Image.fromarray(PIXELS).convert(mode)
    image.putalpha(Image.fromarray(PIXELS[..., 1]))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    result = picture.give_back(picture.rgb)
    assert result.mode == mode
    assert np.array_equal(np.asarray(result), np.asarray(image))


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 7, 8, 9])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    colours = torch.tensor([[10, 200, 7], [20, 100, 8], [30, 50, 9]])[:, None]
    for name, alpha in (("opaque", None), ("clear", [255, 0, 255])):
        picture = read_picture(tmp_path / f"{name}.png")
        assert torch.equal((picture.rgb * 255).round().long(), colours)
        found = None if picture.alpha is None else list(np.asarray(picture.alpha)[0])
        assert found == alpha


def test_cmyk(tmp_path):
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[:, :, 1] = cmyk[:, :, 2] = 255  # full magenta and yellow: red
    Image.fromarray(cmyk, "CMYK").save(tmp_path / "print.jpg", quality=100)
    rgb = to_tensor(tmp_path / "print.jpg")
    assert rgb[0].min() > 0.95 and rgb[1:].max() < 0.05


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("YCbCr", (255, 128, 128)), ("HSV", 255)])
def test_other_modes(mode, value):
    if mode == "HSV":
        value = (0, 0, 255)
    assert to_tensor(Image.new(mode, (4, 3), value)).shape == (3, 3, 4)
    assert to_tensor(Image.new(mode, (4, 3), value)).min() > 0.98  # all of these are white


def test_16_bit_grey_keeps_its_bits(tmp_path):
    deep = RNG.integers(0, 65536, (5, 7, 1)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(png(deep))
    picture = read_picture(tmp_path / "deep.png")
    truth = torch.tensor(deep[..., 0].astype(np.float64) / 65535).float()
    assert torch.allclose(picture.rgb[2], truth, atol=1e-7) and picture.grey


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour(channels, tmp_path):
    deep = RNG.integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(png(deep))
    with pytest.warns(UserWarning, match="has 16 bits per colour, of which 8 are read"):
        picture = read_picture(tmp_path / "deep.png")
    truth = torch.tensor(deep[..., :3].transpose(2, 0, 1).astype(np.float32) / 65535)
    assert (picture.rgb - truth).abs().max() <= 1 / 255
    assert (picture.alpha is not None) == (channels == 4)


def test_whole_numbers_of_32_bits(tmp_path):
    Image.fromarray(np.full((2, 2), 2**23, np.int32)).save(tmp_path / "deep.tif")
    with pytest.warns(UserWarning, match="so 16777215 is taken for white"):
        assert torch.allclose(to_tensor(tmp_path / "deep.tif"), torch.tensor(0.5))


def test_float_tiff(tmp_path):
    Image.fromarray(np.full((3, 4), 0.25, np.float32)).save(tmp_path / "f.tif")
    assert torch.equal(to_tensor(tmp_path / "f.tif"), torch.full((3, 3, 4), 0.25))
    Image.fromarray(np.full((3, 4), 51.0, np.float32)).save(tmp_path / "f.tif")
    with pytest.warns(UserWarning, match="go up to 51, so 255 is taken for white"):
        assert torch.allclose(to_tensor(tmp_path / "f.tif"), torch.full((3, 3, 4), 0.2))
    Image.fromarray(np.full((3, 4), -1.0, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(DerainError, match=r"f\.tif.*rescale them to 0 and above"):
        read_picture(tmp_path / "f.tif")


def test_colour_profile_comes_back(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "wide.png", icc_profile=b"a profile")
    picture = read_picture(tmp_path / "wide.png")
    for name in ("out.png", "out.jpg"):
        save_picture(picture.give_back(picture.rgb), tmp_path / name)
        assert Image.open(tmp_path / name).info["icc_profile"] == b"a profile"


# ------------------------------------------------------------------------------ what is refused


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return name -> (file, what its message must say)."""
    whole = folder / "whole.jpg"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    whole_png = png(RNG.integers(0, 65536, (64, 64, 3)).astype(np.uint16))
    huge = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    large = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)

    def lie(header: bytes) -> bytes:
        chunk = struct.pack(">I", len(header)) + b"IHDR" + header
        return whole_png[:8] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + whole_png[33:]

    contents = {
        "empty.png": (b"", "is empty.*copy or download"),
        "notes.png": ("Größe: 3 m\nno picture\n".encode(), "is a text file.*give a JPEG"),
        "page.jpg": (b"\n<!DOCTYPE html><html>", "web page.*download the picture"),
        "noise.png": (bytes(RNG.integers(0, 256, 999, dtype=np.uint8)), "not a picture"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC.*export it as JPEG"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        "cut.jpg": (whole.read_bytes()[:-900], "cut off.*again"),
        "cut.png": (whole_png[:2000], "cut off.*again"),
        "start.jpg": (b"\xff\xd8\xff", "not a picture"),
        "flipped.png": (whole_png[:300] + b"\x55" * 40 + whole_png[340:], "damaged.*again"),
        "bomb.png": (lie(huge), "megapixels.*shrink it"),
        "large.png": (lie(large), "megapixels.*read_picture with large"),
    }
    made = {}
    for name, (content, message) in contents.items():
        (folder / name).write_bytes(content)
        made[name] = (folder / name, message)
    made["missing"] = (folder / "missing.png", "does not exist.*check the name")
    made["folder"] = (folder, "is a folder")
    made["long"] = (folder / ("x" * 400 + ".png"), "check the name")
    return made


NAMES = (
    "empty.png notes.png page.jpg noise.png phone.heic pointer.png cut.jpg cut.png start.jpg "
    "flipped.png bomb.png large.png missing folder long"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_no_picture_in_the_file(name, tmp_path, recwarn):
    path, message = broken_files(tmp_path)[name]
    with pytest.raises(DerainError, match=f"(?s){path.name[:60]}.*{message}") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)
    if name not in ("missing", "folder", "long"):  # the same bytes, as an upload widget gives them
        with pytest.raises(DerainError, match=message):
            read_picture(path.read_bytes(), name=path.name)
    assert not recwarn.list


def test_a_web_address_is_no_file():
    with pytest.raises(DerainError, match="web address"):
        read_picture("https://example.org/street.jpg")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PIXELS.transpose(2, 0, 1), r"\(3, 5, 7\).*transpose\(1, 2, 0\)"),
        (PIXELS[None], r"\(1, 5, 7, 3\).*one picture of the batch"),
        (PIXELS[0, 0], r"got \(3,\)"),
        (np.zeros((0, 7, 3), np.uint8), "no pixel"),
        (PIXELS.astype(np.int64), "int64.*convert"),
        (PIXELS > 9, "bool.*convert"),
        (PIXELS.astype(np.float32), r"0 to 2\d\d.*divide by 255"),
        (np.full((4, 4), -0.25), r"-0\.25.*rescale"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), np.inf), "infinity"),
        (TRUTH.permute(1, 2, 0), r"\(5, 7, 3\).*movedim\(-1, 0\)"),
        (TRUTH[:1], r"\(1, 5, 7\).*grey"),
        (torch.zeros(2, 3, 4, 4), "one picture of the batch"),
        (torch.zeros(3, 0, 4), r"\(3, 0, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "int32"),
        (TRUTH * 255, r"0 to 2\d\d.*divide by 255"),
        (TRUTH / 0.0, "NaN or infinity"),
        (Image.new("RGB", (0, 4)), "no pixel"),
        (Image.fromarray(np.full((2, 2), -1, np.int32)), "-1.*rescale them"),
        ([[1, 2]], "is a list: give a file name"),
        (None, "is a NoneType"),
    ],
)
def test_wrong_shape_type_or_values(source, message):
    with pytest.raises(DerainError, match=f"^portrait.*{message}"):
        read_picture(source, name="portrait")


def test_values_that_resampling_left_just_outside_are_clamped():
    tensor = to_tensor(torch.full((3, 2, 2), 1 + 5e-7))
    assert tensor.max() == 1


# ------------------------------------------------------------------------------ the way back


def test_to_pil_rounds_and_clamps():
    tensor = torch.tensor([-0.2, 0.499 / 255, 0.501 / 255, 1.2]).expand(3, 1, 4)
    assert np.asarray(to_pil(tensor))[0, :, 0].tolist() == [0, 0, 1, 255]
    assert torch.equal(to_tensor(to_pil(TRUTH[None])), TRUTH)
    assert tensor[0, 0, 0] == pytest.approx(-0.2)  # the caller's tensor is as it was


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.full((3, 2, 2), float("nan")), "NaN"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), "divide by 255"),
        (torch.zeros(2, 2, 3), "movedim"),
    ],
)
def test_to_pil_refuses(tensor, message):
    with pytest.raises(DerainError, match=message):
        to_pil(tensor)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (PIXELS, "ndarray.*to_tensor"),
        (TRUTH, r"float32 \(3, 5, 7\).*x\[None\]"),
        (TRUTH[None].permute(0, 2, 3, 1), r"movedim\(-1, 1\)"),
        (TRUTH[None, :1], "grey"),
        (TRUTH[None][:0], "no pixel"),
        (TRUTH[None].double().long(), "int64.*divide by 255"),
        (TRUTH[None] * 255, "divide by 255"),
        (TRUTH[None] - 0.5, "rescale"),
        (TRUTH[None].log(), "NaN or infinity"),
    ],
)
def test_check_batch_refuses(batch, message):
    with pytest.raises(DerainError, match=f"^rainy.*{message}"):
        check_batch(batch, "rainy")


def test_check_batch_passes():
    batch = torch.rand(2, 3, 4, 5)
    assert check_batch(batch) is batch
    assert check_batch(batch * 3, value_range=False).max() > 1


# ------------------------------------------------------------------------------ writing


def test_save_is_atomic(tmp_path, monkeypatch):
    target = tmp_path / "new folder" / "a.png"
    save_picture(Image.fromarray(PIXELS), target)
    before = target.read_bytes()

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(DerainError, match=r"a\.png.*No space left.*another place"):
        save_picture(Image.fromarray(PIXELS[:2]), target)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["a.png"]


def test_save_keeps_png_exact_and_jpeg_good(tmp_path):
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    assert np.array_equal(
        np.asarray(Image.open(save_picture(Image.fromarray(smooth), tmp_path / "a.png"))), smooth
    )
    jpeg = Image.open(save_picture(Image.fromarray(smooth), tmp_path / "a.jpg"))
    default = tmp_path / "default.jpg"
    Image.fromarray(smooth).save(default)  # quality 75
    assert sum(jpeg.quantization[0]) < sum(Image.open(default).quantization[0]) / 4


def test_formats_that_do_not_fit(tmp_path):
    with pytest.raises(DerainError, match=r"a\.gif.*choose \.png"):
        check_save_path(tmp_path / "a.gif")
    with pytest.raises(DerainError, match="transparency.*choose .png"):
        save_picture(Image.new("RGBA", (2, 2)), tmp_path / "a.jpg")
    assert not any(tmp_path.iterdir())
