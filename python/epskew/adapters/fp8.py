"""e4m3 with a scale for every 128 channels, in torch operations, for libraries that leave the cast to their caller."""

from __future__ import annotations

import torch

import epskew

from .bits import bf16_bits

_LARGEST = 448.0
_GROUP = 128


def has_float8() -> bool:
    """Whether this torch can cast to FP8; 2.1 brought it."""
    return hasattr(torch, "float8_e4m3fn")


def quantise(x: torch.Tensor, rule: str) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, H] bf16 → e4m3 [T, H] and scales [T, H / 128].

    rule: "fp8": amax / 448; "fp8_pow2": that rounded up to a power of two; "fp8_ue8m0": the same as exponent bytes.
    In host memory an old torch borrows epskew's cast; its codes are uint8.
    """
    codes, scales = _cast(x, rule != "fp8") if has_float8() else _borrowed_cast(x, rule != "fp8")
    if rule == "fp8_ue8m0":
        scales = (scales.view(torch.int32) >> 23).to(torch.uint8)
    return codes, scales


def _borrowed_cast(x: torch.Tensor, power_of_two: bool) -> tuple[torch.Tensor, torch.Tensor]:
    codes, scales = epskew.quantise_fp8(bf16_bits(x), power_of_two=power_of_two)
    return torch.from_numpy(codes), torch.from_numpy(scales)


def _scales_of(groups: torch.Tensor, power_of_two: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, G, 128] float32 → scales and what values are multiplied by, [T, G, 1] each."""
    amax = groups.abs().amax(dim=-1, keepdim=True).clamp(min=1e-4)
    if not power_of_two:
        return amax / _LARGEST, _LARGEST / amax
    mantissa, exponent = torch.frexp(amax / _LARGEST)
    # frexp's mantissa is in [0.5, 1): 0.5 means that the value is a power of two already.
    exponent = torch.where(mantissa == 0.5, exponent - 1, exponent)
    one = torch.ones_like(amax)
    return torch.ldexp(one, exponent), torch.ldexp(one, -exponent)


def _cast(x: torch.Tensor, power_of_two: bool) -> tuple[torch.Tensor, torch.Tensor]:
    groups = x.float().view(x.shape[0], -1, _GROUP)
    scale, multiplier = _scales_of(groups, power_of_two)
    # torch's cast makes NaN of what is too large, so it is clamped first.
    codes = (groups * multiplier).clamp(-_LARGEST, _LARGEST).to(torch.float8_e4m3fn)
    return codes.view(x.shape), scale.squeeze(-1).contiguous()
