"""Fourier transforms: whole signals (`torch.fft`), and short windows of them (`stft`)."""
