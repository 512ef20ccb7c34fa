"""Thrift's compact protocol, as far as Parquet's metadata needs it: structs to and from plain values.

A struct is a dict: field id → (wire type, value), in the order of its bytes; a list is (wire type of its elements,
list). What is not looked at comes back as it was. Source: the Apache Thrift compact protocol specification.
"""

from __future__ import annotations

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

Struct = dict[int, tuple[int, Any]]


def read_struct(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """The struct whose bytes begin at `at`, and the position behind it.

    Raises:
        ValueError: the bytes are no struct, or end within it, or have a map in it, which Parquet does not use.
    """
    try:
        return _read_fields(data, at)
    except (IndexError, struct.error):
        raise ValueError(f"the bytes end within the struct that begins at byte {at}") from None


def _read_fields(data: bytes, at: int) -> tuple[Struct, int]:
    fields: Struct = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _read_zigzag(data, at)
        value, at = (kind == TRUE, at) if kind in (TRUE, FALSE) else _read_value(data, at, kind)
        fields[number] = (kind, value)
    return fields, at + 1


def _read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == BYTE or kind in (TRUE, FALSE):  # the latter as elements of a list
        return data[at], at + 1
    if kind in (I16, I32, I64):
        return _read_zigzag(data, at)
    if kind == DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == BINARY:
        size, at = read_varint(data, at)
        return data[at : at + size], at + size
    if kind in (LIST, SET):
        head = data[at]
        size, at = (head >> 4, at + 1) if head >> 4 < 15 else read_varint(data, at + 1)
        values = []
        for _ in range(size):
            value, at = _read_value(data, at, head & 15)
            values.append(value)
        return (head & 15, values), at
    if kind == STRUCT:
        return _read_fields(data, at)
    raise ValueError(f"wire type {kind} at byte {at}")


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number whose bytes begin at `at`, seven bits each, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _read_zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def write_struct(fields: Struct) -> bytes:
    """The bytes of a struct."""
    parts = []
    last = 0
    for number, (kind, value) in sorted(fields.items()):
        step = number - last
        parts.append(bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + varint(_zigzag(number)))
        if kind not in (TRUE, FALSE):
            parts.append(_write_value(kind, value))
        last = number
    return b"".join(parts) + b"\0"


def _write_value(kind: int, value: Any) -> bytes:
    if kind == BYTE or kind in (TRUE, FALSE):
        return bytes([value])
    if kind in (I16, I32, I64):
        return varint(_zigzag(value))
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind in (LIST, SET):
        inner, values = value
        head = (
            bytes([len(values) << 4 | inner])
            if len(values) < 15
            else bytes([0xF0 | inner]) + varint(len(values))
        )
        return head + b"".join(_write_value(inner, one) for one in values)
    return write_struct(value)


def varint(value: int) -> bytes:
    """A whole number in groups of seven bits, least significant first.

    >>> varint(300).hex()
    'ac02'
    """
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1
