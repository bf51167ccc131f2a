"""`torch.cuda.random`: the generators of devices that are not there."""

from __future__ import annotations

from pellucid import cuda as _cuda
from pellucid.cuda import get_rng_state_all as get_rng_state_all
from pellucid.cuda import manual_seed as manual_seed
from pellucid.cuda import manual_seed_all as manual_seed_all
from pellucid.cuda import seed as seed
from pellucid.cuda import seed_all as seed_all
from pellucid.cuda import set_rng_state_all as set_rng_state_all

get_rng_state = _cuda.get_rng_state
set_rng_state = _cuda.set_rng_state
initial_seed = _cuda.initial_seed
