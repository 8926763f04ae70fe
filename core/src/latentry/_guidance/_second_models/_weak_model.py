"""A weaker network that guidance leads away from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._access import Access
from latentry._files._finding._locate import Located
from latentry._guidance._evaluate import Branch, Evaluate
from latentry._guidance._second_models._second_model import obstacles, open_second
from latentry._numerics._processes._point import Query


@dataclass(frozen=True)
class WeakModel:
    """The network that the branch ``weak-model`` evaluates.

    Attributes:
        located: where its checkpoint is.
        checkpoint: its configuration.
    """

    located: Located
    checkpoint: Checkpoint


def choose_weak_model(
    host: PluginHost,
    name: str | None,
    asked: bool,
    located: Located,
    checkpoint: Checkpoint,
    size: tuple[int, int],
    access: Access,
) -> WeakModel | None:
    """Opens the second network of a guidance method that asks for one.

    Args:
        host: what is installed.
        name: the network, as for a model; None for none.
        asked: whether the method asks for one.
        located: where the model is.
        checkpoint: its configuration.
        size: width and height in pixels.
        access: how model sources may be reached.

    Raises:
        ModelError: see ``locate``.
        OptionError: a network is given that nothing asks for, or none is given.
        IncompatibleError: the two cannot be used together.
    """
    if not asked:
        if name is None:
            return None
        raise OptionError(
            "The option guidance_model has no effect here.",
            why="The guidance method asks for no second model.",
            remedy="Leave it out, or use a method that asks for one: guidance_method=autoguidance.",
            field="guidance_model",
        )
    if name is None:
        raise OptionError(
            "The guidance method needs a second model.",
            why="It guides away from a weaker version of the model: smaller, or trained for less time.",
            remedy="Name it: guidance_model.",
            field="guidance_model",
        )
    found, second = open_second(host, name, access)
    reasons = obstacles(located, checkpoint, found, second, size)
    if found.files == located.files:
        reasons.append("It is the model itself, and guidance away from it would have no effect.")
    for reason in reasons:
        raise IncompatibleError(
            f"{found.name} cannot be used to guide {located.name}.",
            why=reason,
            remedy="Use a weaker version of this model: smaller, or trained for less time.",
            field="guidance_model",
        )
    return WeakModel(found, second)


@dataclass(frozen=True)
class WithWeakModel:
    """Evaluates the branches of the weak model with it, and all others with the model.

    Attributes:
        model: of the request.
        weak: of the guidance.
    """

    model: Evaluate
    weak: Evaluate

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        found: dict[Branch, Tensor] = {}
        for evaluate, weak in ((self.model, False), (self.weak, True)):
            if own := tuple(branch for branch in branches if branch.weak_model == weak):
                outputs = evaluate(query, *(replace(branch, weak_model=False) for branch in own))
                found |= zip(own, outputs, strict=True)
        return tuple(found[branch] for branch in branches)
