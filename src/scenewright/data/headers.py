"""What an image file says about itself, read from a few bytes so that nothing large is decoded unseen.

Formats: JPEG (ITU T.81 B.1), PNG (ISO 15948), TIFF 6.0, WebP (RFC 9649), uncompressed BMP, binary PGM and PPM (Netpbm);
EXIF is a TIFF block inside the first ones.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scenewright.data.safe import MAX_PIXELS, check_pixels
from scenewright.errors import FormatError

_ORIENTATION, _EXIF_IFD, _FOCAL_35MM = 274, 34665, 41989
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 322, 323
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG, DAC
_PNM = re.compile(rb"(P[56])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
_PNM_HEADER = 4096  # bytes that may be spent on comments
_STANDALONE = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file.

    Args:
        kind: "jpeg", "png", "tiff", "webp", "bmp" or "pnm".
        width, height: in pixels as stored, before `orientation` is applied.
        channels, bits: samples per pixel and bits per sample.
        orientation: the EXIF value 1..8, 1 where there is none.
        focal_35mm: the EXIF focal length in millimetres for a 36 x 24 mm frame, None where there is none.
        orientation_at: byte offset of a TIFF's own orientation value, None elsewhere.
    """

    kind: str
    width: int
    height: int
    channels: int = 3
    bits: int = 8
    orientation: int = 1
    focal_35mm: float | None = None
    orientation_at: tuple[int, str] | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after the orientation is applied; orientations 5..8 exchange the sides."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def parse_header(data: bytes, subject: str | Path) -> ImageHeader:
    """The header of an image given as bytes.

    Args:
        data: the file's bytes.
        subject: its name, for errors.

    Raises:
        FormatError: no format of these; a header that is cut off; or more than 64 million pixels.
    """
    parse = _parser(data)
    if parse is None:
        raise FormatError(subject, _describe(data), "a JPEG, PNG, TIFF, WebP, BMP, PGM or PPM image")
    try:
        header = parse(data)
    except (struct.error, IndexError, ValueError) as error:
        raise FormatError(subject, f"a damaged image header ({error})", "a complete image file") from error
    check_pixels(subject, header.width, header.height)
    return header


def _parser(data: bytes) -> Callable[[bytes], ImageHeader] | None:
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[:2] == b"BM":
        return _bmp
    if data[:2] in (b"P5", b"P6") and data[2:3].isspace():
        return _pnm
    return None


def _describe(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "a HEIC or AVIF image (save it as JPEG first)"
    return f"a file that begins with {data[:8]!r}"


def _jpeg(data: bytes) -> ImageHeader:
    position, exif = 2, dict[int, int]()
    while True:
        if data[position] != 0xFF:
            raise ValueError(f"no marker at offset {position}")
        marker = data[position + 1]
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if length < 2 or marker in (0xD9, 0xDA):
            raise ValueError(f"no frame header before offset {position}")
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            exif = exif or _exif(data[position + 10 : position + 2 + length])
        if marker in _FRAME_HEADERS:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            return _with_exif(ImageHeader("jpeg", width, height, channels, bits), exif)
        position += 2 + length


def _png(data: bytes) -> ImageHeader:
    length, name, width, height, bits, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if name != b"IHDR" or length != 13 or colour not in _PNG_CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise ValueError("no valid IHDR chunk at offset 8")
    exif: dict[int, int] = {}
    for name, start, end in _chunks(data, 8, ">I4s", trailer=4):
        if end + 4 > len(data) or name == b"acTL":  # the decoder would allocate the promised length first
            raise ValueError(f"chunk {name!r} at offset {start - 8}: beyond the end of the file, or an animation")
        if name == b"eXIf":
            exif = _exif(data[start:end])
        if name == b"IEND":
            return _with_exif(ImageHeader("png", width, height, _PNG_CHANNELS[colour], bits), exif)
    raise ValueError("no IEND chunk")


def _webp(data: bytes) -> ImageHeader:
    exif: dict[int, int] = {}
    size: tuple[int, int] | None = None
    for name, start, end in _chunks(data, 12, "<4sI"):
        if name == b"VP8X" and size is None:
            size = (_uint24(data, start + 4) + 1, _uint24(data, start + 7) + 1)
        elif name == b"VP8 " and size is None:
            if data[start + 3 : start + 6] != b"\x9d\x01\x2a":
                raise ValueError(f"no VP8 key frame at offset {start}")
            width, height = struct.unpack_from("<HH", data, start + 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif name == b"VP8L" and size is None:
            (packed,) = struct.unpack_from("<I", data, start + 1)
            size = ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
        elif name == b"EXIF":
            block = data[start:end]
            exif = _exif(block[6:] if block[:6] == b"Exif\0\0" else block)
    if size is None:
        raise ValueError("no VP8, VP8L or VP8X chunk")
    return _with_exif(ImageHeader("webp", *size), exif)


def _bmp(data: bytes) -> ImageHeader:
    start, size, width, height, planes, bits, packed = struct.unpack_from("<IIiiHHI", data, 10)
    if size < 40 or planes != 1 or bits not in (8, 24, 32) or packed != 0:
        raise ValueError(f"{bits} bits per pixel, compression {packed}: not a plain bitmap of 8, 24 or 32 bits")
    header = ImageHeader("bmp", width, abs(height), 1 if bits == 8 else 3)
    _check_body(data, start, (width * bits + 31) // 32 * 4 * abs(height))
    return header


def _pnm(data: bytes) -> ImageHeader:
    match = _PNM.match(data[:_PNM_HEADER])
    if match is None or int(match[4]) != 255:
        raise ValueError("no width, height and 255 after its magic number")
    channels = 3 if match[1] == b"P6" else 1
    header = ImageHeader("pnm", int(match[2]), int(match[3]), channels)
    _check_body(data, match.end(), header.width * header.height * channels)
    return header


def _check_body(data: bytes, start: int, length: int) -> None:
    if start + length > len(data):
        raise ValueError(f"{len(data) - start} bytes of pixels, {length} promised")


def _uint24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _chunks(data: bytes, at: int, layout: str, trailer: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of the chunks of a PNG (length first, then a CRC) or RIFF file (padded to even)."""
    while at + 8 <= len(data):
        first, second = struct.unpack_from(layout, data, at)
        name, length = (first, second) if isinstance(first, bytes) else (second, first)
        yield name, at + 8, at + 8 + length
        at += 8 + length + trailer + (length & 1 if trailer == 0 else 0)


def _tiff(data: bytes) -> ImageHeader:
    tags, places = _directory(data)
    if tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_HEIGHT, 1) > MAX_PIXELS:
        raise ValueError("tiles of more than 64 million pixels")
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise ValueError("no image size in the first directory")
    header = ImageHeader("tiff", tags[_WIDTH], tags[_HEIGHT], tags.get(_SAMPLES, 1), tags.get(_BITS, 1))
    place = (places[_ORIENTATION], _order(data)) if _ORIENTATION in places else None
    return _with_exif(header, _exif(data), place)


def _exif(block: bytes) -> dict[int, int]:
    """The tags of an EXIF block; a damaged block counts as none, since many cameras and editors write such."""
    try:
        tags, _ = _directory(block)
        if _EXIF_IFD in tags:
            tags = {**_directory(block, tags[_EXIF_IFD])[0], **tags}
        return tags
    except (struct.error, IndexError, ValueError):
        return {}


def _with_exif(header: ImageHeader, exif: dict[int, int], orientation_at: tuple[int, str] | None = None) -> ImageHeader:
    orientation, focal = exif.get(_ORIENTATION, 1), exif.get(_FOCAL_35MM, 0)
    return ImageHeader(
        header.kind,
        header.width,
        header.height,
        header.channels,
        header.bits,
        orientation if 1 <= orientation <= 8 else 1,
        float(focal) if 1 <= focal <= 2000 else None,
        orientation_at,
    )


def _order(data: bytes) -> str:
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    if data[:4] not in orders:
        raise ValueError("no TIFF header")
    return orders[data[:4]]


def _directory(data: bytes, at: int | None = None) -> tuple[dict[int, int], dict[int, int]]:
    """One TIFF directory: first value and its byte offset by tag, for SHORT and LONG entries."""
    order = _order(data)
    if at is None:
        (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags, places = {}, {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
        if kind not in (3, 4) or length == 0:
            continue
        code, size = ("H", 2) if kind == 3 else ("I", 4)
        place = entry + 8
        if length * size > 4:
            (place,) = struct.unpack_from(order + "I", data, place)
        (tags[tag],) = struct.unpack_from(order + code, data, place)
        places[tag] = place
    return tags, places
