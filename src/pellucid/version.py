"""The versions that programs ask for: of PyTorch's programming model, and Pellucid's own."""

__version__ = "2.13.0+pellucid"
PELLUCID = "0.1.0"
cuda = None
hip = None
git_version = "pellucid"
debug = False
xpu = None
rocm = None
