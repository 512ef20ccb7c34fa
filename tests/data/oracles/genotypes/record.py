"""Writes small genotypes of X and what plink1.9 --check-sex says of them; see README.md."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
N_PEOPLE, N_VARIANTS = 60, 150


def make_genotypes() -> tuple[np.ndarray, np.ndarray]:
    """Dosages (-1 missing), variants × people, and the sexes that are stated (1 male, 2 female, 0 unknown)."""
    rng = np.random.default_rng(20)
    frequency = rng.uniform(0.05, 0.95, (N_VARIANTS, 1))
    has_one = np.arange(N_PEOPLE) % 2 == 0
    shape = (N_VARIANTS, N_PEOPLE)
    dosages = rng.binomial(2, frequency, shape).astype(np.int8)
    hemizygous = 2 * rng.binomial(1, frequency, shape).astype(np.int8)
    dosages[:, has_one] = hemizygous[:, has_one]
    is_mixed = rng.random(N_VARIANTS) < 0.5
    dosages[is_mixed, 4] = rng.binomial(2, frequency[is_mixed, 0])
    dosages[is_mixed, 5] = hemizygous[is_mixed, 5]
    dosages[(rng.random(shape) < 0.01) & has_one] = 1
    dosages[rng.random(shape) < 0.04] = -1
    dosages[10], dosages[20], dosages[30] = 0, 2, -1
    dosages[40] = np.where(dosages[40] < 0, -1, 0)
    dosages[40, 0] = 1
    dosages[:, 7] = -1
    sexes = np.where(has_one, 1, 2)
    sexes[[8, 9]], sexes[12], sexes[13] = 0, 2, 1
    return dosages, sexes


def record(name: str, dosages: np.ndarray, sexes: np.ndarray) -> None:
    """Run plink1.9 on PLINK files of these genotypes and keep its table."""
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[np.where(dosages < 0, 3, dosages)].reshape(
        N_VARIANTS, -1, 4
    )
    packed = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    with tempfile.TemporaryDirectory() as place:
        prefix = Path(place) / "x"
        prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01]) + packed.astype(np.uint8).tobytes())
        rows = (f"23\tv{i}\t0\t{3_000_000 + i}\tC\tA\n" for i in range(N_VARIANTS))
        prefix.with_suffix(".bim").write_text("".join(rows))
        people = (f"0\tp{i}\t0\t0\t{sex}\t-9\n" for i, sex in enumerate(sexes))
        prefix.with_suffix(".fam").write_text("".join(people))
        subprocess.run(["plink1.9", "--bfile", prefix, "--check-sex", "--out", prefix], check=True)
        (HERE / f"x.{name}.sexcheck").write_text(prefix.with_suffix(".sexcheck").read_text())


if __name__ == "__main__":
    made, stated = make_genotypes()
    (HERE / "x.genotypes.txt").write_text("".join("".join(".012"[x + 1] for x in row) + "\n" for row in made))
    (HERE / "x.people.txt").write_text("".join(f"p{i} {sex}\n" for i, sex in enumerate(stated)))
    record("stated", made, stated)
    record("unstated", made, np.zeros_like(stated))
