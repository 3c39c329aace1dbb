"""bf16 and FP8 between torch, which has them, and numpy, which has only their bits."""

from __future__ import annotations

import numpy as np
import torch


def bf16_tensor(bits: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """A bfloat16 tensor of these uint16 bits; its memory is its own."""
    copied = torch.from_numpy(np.array(bits, dtype=np.uint16, copy=True).view(np.int16))
    return copied.view(torch.bfloat16).to(device)


def bf16_bits(tensor: torch.Tensor) -> np.ndarray:
    """The uint16 bits of a bfloat16 tensor, C-contiguous, in host memory."""
    return tensor.detach().contiguous().cpu().view(torch.int16).numpy().view(np.uint16)


def byte_codes(tensor: torch.Tensor) -> np.ndarray:
    """The codes of a tensor of one-byte elements (float8 or uint8), C-contiguous, in host memory."""
    return tensor.detach().contiguous().view(torch.uint8).cpu().numpy()


def row_bits(tensor: torch.Tensor) -> np.ndarray:
    """bf16 or one-byte rows as epskew.Received takes them."""
    return bf16_bits(tensor) if tensor.dtype == torch.bfloat16 else byte_codes(tensor)
