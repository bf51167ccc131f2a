"""L-BFGS: Newton's method with an inverse Hessian remembered as its last few updates (Nocedal
1980; Liu & Nocedal 1989).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.optim.elementwise import check_lr, real, scalar
from pellucid.optim.line_search import Point, StrongWolfe
from pellucid.optim.optimizer import Optimizer, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Each `step(closure)` runs up to `max_iter` iterations; `closure` clears gradients, computes
    the loss, calls backward.

    One group of parameters only. State lies with the first parameter: `func_evals`, `n_iter`, `d`
    (direction), `t`
    (step length), `old_dirs`, `old_stps`, `ro` (history), `H_diag`, `prev_flat_grad`, `prev_loss`.

    Args:
        params: parameters; memory for `history_size` pairs of vectors of their total size is used.
        lr: step length of an iteration; with a line search, the first one tried.
        max_eval: calls of `closure` in a step, `max_iter * 5 // 4` when None.
        tolerance_grad: stop when no gradient element is larger.
        tolerance_change: stop when neither parameters nor loss change more.
        line_search_fn: None or "strong_wolfe".

    Raises: ValueError for a negative `lr` or several groups; RuntimeError for another line search.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params: list[Tensor] = self.param_groups[0]["params"]

    # -- all parameters as one vector

    def _gather_flat_grad(self) -> Tensor:
        pieces = []
        for param in self._params:
            grad = ops.zeros_like(param) if param.grad is None else param.grad
            pieces.append(real(grad)[0].reshape(-1))
        return ops.cat(pieces, 0)

    def _add_grad(self, step_size: Any, update: Tensor) -> None:
        offset = 0
        for param in self._params:
            (view,) = real(param)
            size = view.numel()
            piece = update[offset : offset + size].view(view.shape)
            view.add_(piece, alpha=step_size)
            offset += size

    def _clone_param(self) -> list[Tensor]:
        return [param.clone() for param in self._params]

    def _set_param(self, values: list[Tensor]) -> None:
        for param, value in zip(self._params, values, strict=True):
            param.copy_(value)

    # -- one step

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Run the iterations. Returns what `closure` returned at the start."""
        closure = enable_grad()(closure)
        group = self.param_groups[0]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first_loss

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(grad, state, group["history_size"])
            state["d"], previous_loss = direction, loss
            state["prev_flat_grad"], state["prev_loss"] = grad.clone(), loss
            t = state["t"] = self._first_length(grad, state)
            slope = grad.dot(direction)
            if slope > -group["tolerance_change"]:
                break
            is_last = iteration == group["max_iter"]
            room = group["max_eval"] - evaluations
            loss, grad, t, used = self._move(closure, Point(t, loss, grad, slope), room, is_last)
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            converged = used > 0 and bool(grad.abs().max() <= group["tolerance_grad"])
            if is_last or evaluations >= group["max_eval"] or converged:
                break
            if direction.mul(t).abs().max() <= group["tolerance_change"]:
                break
            if abs(loss - previous_loss) < group["tolerance_change"]:
                break
        return first_loss

    def _first_length(self, grad: Tensor, state: dict[str, Any]) -> Any:
        lr = scalar(self.param_groups[0]["lr"])
        if state["n_iter"] == 1:
            return min(1.0, 1.0 / grad.abs().sum()) * lr
        return lr

    def _move(
        self, closure: Callable[[], Any], start: Point, room: int, is_last: bool
    ) -> tuple[float, Tensor, Any, int]:
        """Go along the direction; returns loss, gradient, step length and the number of calls of
        `closure`.
        """
        direction = self.state[self._params[0]]["d"]
        search_name = self.param_groups[0]["line_search_fn"]
        if search_name is None:
            self._add_grad(start.t, direction)
            if is_last:  # a last evaluation would only be thrown away
                return start.value, start.grad, start.t, 0
            return float(closure()), self._gather_flat_grad(), start.t, 1
        if search_name != "strong_wolfe":
            raise RuntimeError(
                f"only 'strong_wolfe' is supported, not {search_name!r}; or None: fixed steps of lr"
            )

        def evaluate(x: list[Tensor], t: Any, direction: Tensor) -> tuple[float, Tensor]:
            self._add_grad(t, direction)
            loss = float(closure())
            grad = self._gather_flat_grad()
            self._set_param(x)
            return loss, grad

        search = StrongWolfe(evaluate, self._clone_param(), direction, start, max_evaluations=room)
        best = search.run(start.t)
        self._add_grad(best.t, direction)
        return best.value, best.grad, best.t, search.evaluations

    def _direction(self, grad: Tensor, state: dict[str, Any], history_size: int) -> Tensor:
        """`-H g`, with the inverse Hessian H of the history (the two-loop recursion)."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return grad.neg()
        dirs, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        change = grad.sub(state["prev_flat_grad"])
        moved = state["d"].mul(state["t"])
        curvature = change.dot(moved)
        if curvature > 1e-10:
            if len(dirs) == history_size:
                for history in (dirs, steps, ro):
                    history.pop(0)
            dirs.append(change)
            steps.append(moved)
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / change.dot(change)

        count = len(dirs)
        weights = state.setdefault("al", [None] * history_size)
        vector = grad.neg()
        for i in reversed(range(count)):
            weights[i] = steps[i].dot(vector) * ro[i]
            vector.add_(dirs[i], alpha=-weights[i])
        result = ops.mul(vector, state["H_diag"])
        for i in range(count):
            back = dirs[i].dot(result) * ro[i]
            result.add_(steps[i], alpha=weights[i] - back)
        return result
