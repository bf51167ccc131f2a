"""`torch.nn.modules.module`: PyTorch's home of `Module` and the hooks of the whole program."""

from pellucid.nn._module.state import _IncompatibleKeys as _IncompatibleKeys
from pellucid.nn.hooks import (
    register_module_backward_hook as register_module_backward_hook,
)
from pellucid.nn.hooks import (
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
)
from pellucid.nn.hooks import (
    register_module_forward_hook as register_module_forward_hook,
)
from pellucid.nn.hooks import (
    register_module_forward_pre_hook as register_module_forward_pre_hook,
)
from pellucid.nn.hooks import (
    register_module_full_backward_hook as register_module_full_backward_hook,
)
from pellucid.nn.hooks import (
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
)
from pellucid.nn.hooks import (
    register_module_module_registration_hook as register_module_module_registration_hook,
)
from pellucid.nn.hooks import (
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from pellucid.nn.module import Module as Module
