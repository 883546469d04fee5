"""Images given by their spectrum, in colors that vary independently: steps in them change all scales alike.

Olah, Mordvintsev and Schubert 2017, "Feature Visualization", https://doi.org/10.23915/distill.00007: gradient
ascent on pixels gives noise; on a spectrum divided by frequency, in decorrelated colors, it gives shapes.
"""

from __future__ import annotations

import torch

_COLORS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the correlation of colors in ImageNet, as in lucid: rows are red, green and blue."""

_SPREAD = 0.01
"""Standard deviation of a random spectrum, as in lucid."""

_SCALE = 4.0
"""By which images are divided, as in lucid, so that steps are of a useful size."""

_DECAY = 1.5
"""Power of the wavelength that frequencies are weighted by: lucid has 1, which leaves more fine texture."""

_REFERENCE = 20.0
"""The wavelength in pixels whose weight does not depend on the power."""

_EDGE = 0.02
"""How near to black and white a given image may be: the spectrum of pure ones would be infinite."""


class FourierImages:
    """RGB images that are optimized together.

    Attributes:
        spectrum: What is optimized, float32 (N, 3, H, W // 2 + 1, 2): real and imaginary parts.
    """

    def __init__(self, spectrum: torch.Tensor, size: tuple[int, int]) -> None:
        """Take a spectrum; see `random` and `of`.

        Args:
            spectrum: float32 (N, 3, H, W // 2 + 1, 2), on the device of the network.
            size: (width, height) in pixels.
        """
        self.spectrum = spectrum.requires_grad_()
        self._size = size
        self._weights = _weights(size).to(spectrum.device)
        colors = torch.tensor(_COLORS, device=spectrum.device)
        self._colors = colors / colors.norm(dim=0).max()

    @classmethod
    def random(cls, count: int, size: tuple[int, int], seed: int, device: torch.device) -> FourierImages:
        """Return images that are nearly gray.

        Args:
            count: How many.
            size: (width, height) in pixels.
            seed: The same one gives the same images, on every device.
            device: Where they are.
        """
        width, height = size
        generator = torch.Generator().manual_seed(seed)
        spectrum = _SPREAD * torch.randn(count, 3, height, width // 2 + 1, 2, generator=generator)
        return cls(spectrum.to(device), size)

    @classmethod
    def of(cls, image: torch.Tensor, count: int) -> FourierImages:
        """Return images that begin as a given one.

        Args:
            image: RGB from 0 to 1, float32 (3, H, W).
            count: How many.
        """
        size = image.shape[2], image.shape[1]
        images = cls(image.new_zeros(count, 3, size[1], size[0] // 2 + 1, 2), size)
        values = torch.logit(image.clamp(_EDGE, 1 - _EDGE))
        plain = torch.einsum("dc,chw->dhw", torch.linalg.inv(images._colors), values)
        spectrum = torch.view_as_real(torch.fft.rfft2(plain, norm="ortho")) / images._weights * _SCALE
        return cls(spectrum.expand(count, -1, -1, -1, -1).clone(), size)

    def pixels(self) -> torch.Tensor:
        """Return the images, RGB from 0 to 1, float32 (N, 3, H, W), differentiable."""
        width, height = self._size
        spectrum = torch.view_as_complex((self.spectrum * self._weights).contiguous())
        plain = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho") / _SCALE
        return torch.einsum("cd,ndhw->nchw", self._colors, plain).sigmoid()


def _weights(size: tuple[int, int]) -> torch.Tensor:
    """Return what each frequency is multiplied by, float32 (H, W // 2 + 1, 1)."""
    width, height = size
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    frequencies = (down.square() + across.square()).sqrt()
    wavelengths: torch.Tensor = 1 / frequencies.clamp(min=1 / max(size))
    return (_REFERENCE * (wavelengths / _REFERENCE).pow(_DECAY))[..., None]
