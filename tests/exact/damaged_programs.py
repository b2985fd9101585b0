"""Bytes that were a program once, and bytes that never were."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.exact.random_programs import random_program


def damaged_programs(seed: int, count: int) -> Iterator[bytes]:
    """Programs with bytes changed, cut off, moved or added; some bytes at random."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random_program(random).to_bytes())
        match random.randrange(6):
            case 0:
                for _ in range(random.randint(1, 4)):
                    data[random.randrange(len(data))] = random.choice((0, 0x7F, 0x80, 0xFF))
            case 1:
                data[random.randrange(min(30, len(data)))] ^= 1 << random.randrange(8)
            case 2:
                data = data[: random.randrange(len(data))]
            case 3:
                data += random.randbytes(random.randint(1, 40))
            case 4:
                start, end = sorted(random.randrange(len(data)) for _ in range(2))
                data[start:end] = random.randbytes(end - start)
            case 5:
                data = bytearray(random.randbytes(random.randint(0, 300)))
                if random.random() < 0.8 and len(data) > 10:
                    kind = random.randint(1, 2)
                    data[:10] = bytes(
                        [1, kind, kind + 1, random.randint(0, 3), random.randint(0, 4), 9]
                    ) + bytes([0, random.randint(1, 9), 0, random.choice((1, 1, 2, 3))])
        yield bytes(data)
