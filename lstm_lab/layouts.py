"""How our parameters become those of another framework, as differentiable functions of arrays.

A framework's gradients are pulled back through them, so that they can be compared in our layout. `from_pytorch`
goes the other way. Here is one layer and direction; `frameworks` has whole stacks.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from lstm_lab.cells.base import Cell
from lstm_lab.errors import UsageError


def own(params: Any) -> dict[str, Array]:
    """Ours, by name."""
    return {name: leaf for name, leaf in params._asdict().items() if leaf is not None}


def pytorch(params: Any) -> dict[str, Array]:
    """Transposed matrices, and the bias shared out over torch's two; c_n is the second's alone."""
    projection = {"weight_hr": params.P.T} if hasattr(params, "P") else {}
    ih = hh = params.b / 2
    if hasattr(params, "c_n"):
        H = params.c_n.shape[0]
        ih = jnp.concatenate([ih[: 2 * H], params.b[2 * H :]])
        hh = jnp.concatenate([hh[: 2 * H], params.c_n])
    return {
        "weight_ih": params.W.T,
        "weight_hh": params.U.T,
        "bias_ih": ih,
        "bias_hh": hh,
        **projection,
    }


def from_pytorch(cell: Cell, named: Mapping[str, Any]) -> Any:
    """Take over one layer and direction of `torch.nn.RNN`, `LSTM` or `GRU`.

    Torch has a bias with either matrix and only ever uses their sum, but for a GRU's n, whose second bias is
    inside the reset's product: that one is c_n.

    Args:
        cell: an Elman, LSTM, LSTM with projection, or GRU that resets after the product.
        named: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` and, with a projection, `weight_hr`: what torch
            calls so, without the `_l0`; a layer without biases leaves those out.

    Returns:
        The cell's parameters, in the arrays' dtype.

    Raises:
        UsageError: an array is missing, or the cell has parameters of other names or shapes.
    """
    arrays = {name: jnp.asarray(value) for name, value in named.items()}
    try:
        W, U = arrays["weight_ih"].T, arrays["weight_hh"].T
    except KeyError as missing:
        raise UsageError(
            f"from_pytorch: no {missing}: give a layer's state_dict without the _l0"
        ) from None
    zero = jnp.zeros(W.shape[1], W.dtype)
    ih, hh = arrays.get("bias_ih", zero), arrays.get("bias_hh", zero)
    taken = {"W": W, "U": U, "b": ih + hh}
    if "weight_hr" in arrays:
        taken["P"] = arrays["weight_hr"].T
    wanted = jax.eval_shape(lambda: cell.init(jax.random.key(0), W.shape[0], U.shape[0]))
    names = own(wanted).keys()
    if "c_n" in names:
        H = U.shape[0]
        # Only the sum over r and u is used, and n's two biases stand apart.
        taken |= {"b": jnp.concatenate([(ih + hh)[: 2 * H], ih[2 * H :]]), "c_n": hh[2 * H :]}
    shapes = {name: leaf.shape for name, leaf in taken.items()}
    if shapes != {name: leaf.shape for name, leaf in own(wanted).items()}:
        raise UsageError(
            f"from_pytorch: {shapes}: {cell.label} needs "
            f"{ {name: leaf.shape for name, leaf in own(wanted).items()} }: give the torch layer's own cell"
        )
    return type(wanted)(**taken)


def keras(params: Any) -> dict[str, Array]:
    """Kernel, recurrent kernel, bias, in our order; a GRU has the update gate first.

    A GRU that resets after the product keeps a second bias for it.
    """
    if not hasattr(params, "c_n"):
        return {"kernel": params.W, "recurrent_kernel": params.U, "bias": params.b}
    W, U, b = map(update_and_reset, (params.W, params.U, params.b))
    if params.c_n is not None:
        H = params.c_n.shape[0]
        b = jnp.stack([b, jnp.concatenate([jnp.zeros(2 * H, b.dtype), params.c_n])])
    return {"kernel": W, "recurrent_kernel": U, "bias": b}


def update_and_reset(leaf: Array) -> Array:
    """Exchange a GRU's first two blocks, `[..., 3H]`: Keras has the update gate before the reset gate."""
    first, second, n = jnp.split(leaf, 3, axis=-1)
    return jnp.concatenate([second, first, n], axis=-1)


def flax(params: Any) -> dict[str, Array]:
    """`nnx.SimpleCell`, `GRUCell` and `OptimizedLSTMCell`: the LSTM's bias is with the recurrent kernel.

    A GRU has no bias inside the reset's product: c_n does not exist there.
    """
    bias = "dense_h.bias" if params.U.shape[1] == 4 * params.U.shape[0] else "dense_i.bias"
    return {"dense_i.kernel": params.W, "dense_h.kernel": params.U, bias: params.b}


def equinox(params: Any) -> dict[str, Array]:
    """Transposed matrices and one bias; c_n is `bias_n`."""
    more = {"bias_n": params.c_n} if hasattr(params, "c_n") else {}
    return {"weight_ih": params.W.T, "weight_hh": params.U.T, "bias": params.b, **more}


def pull_back(layout: Callable[[Any], Any], params: Any, gradients: Any) -> Any:
    """Carry a framework's gradients back to our parameters.

    Args:
        layout: how our parameters become the framework's.
        params: ours.
        gradients: the framework's, in the shape of what `layout` returns.
    """
    return jax.vjp(layout, params)[1](gradients)[0]
