"""What goes wrong between here and the hub, told in full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latentry._errors import ModelError


def absent(name: str, why: str) -> ModelError:
    """The error where the hub, or the cache, does not have something."""
    return ModelError(
        f"There is no model {name!r}.",
        why=f"No file or folder here is called so, and {why}.",
        remedy="Check the spelling; `latentry models` lists what is installed.",
    )


def several(name: str, files: list[str]) -> ModelError:
    """The error where a repository holds weights of several models, and nothing says which is meant."""
    return ModelError(
        f"{name} holds {len(files)} files of weights, and no description of a model made of them.",
        why=f"They are {', '.join(files)}.",
        remedy=f"Say which, e.g. {name}/{files[0]}.",
    )


def unreachable(error: Exception) -> bool:
    """Whether the hub did not answer at all."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    return isinstance(error, HTTPError) and not isinstance(error, HfHubHTTPError)


@contextmanager
def explained(repository: str, revision: str | None, *, offline: bool) -> Iterator[None]:
    """Turns what the hub's client raises into one clear error.

    Raises:
        ModelError: what could not be had, why, and what to do.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise _not_cached(repository, revision, offline, error) from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{repository} is gated: the hub gives it only to people who accepted its terms.",
            remedy=f"Accept them at {_endpoint()}/{repository}, then log in here: hf auth login.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{repository} has no revision {revision!r}.",
            remedy="Give a branch, a tag or a whole commit; without one the newest of the main branch is taken.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise absent(repository, f"{_endpoint()} has no such repository, or a private one") from error
    except (errors.HTTPError, OSError) as error:
        raise ModelError(
            f"{repository} cannot be had from the hub.",
            why=f"{_endpoint()}: {_first_line(error)}",
            remedy="Try again later; or with --offline use the copy in the cache, where there is one.",
        ) from error


def _not_cached(repository: str, revision: str | None, offline: bool, error: Exception) -> ModelError:
    from huggingface_hub import constants

    which = f"{repository} at {revision}" if revision else repository
    if not offline:
        return ModelError(
            f"{which} could not be downloaded whole.",
            why=_first_line(error),
            remedy="Try again: what has arrived is kept.",
        )
    return ModelError(
        f"{which} is no file or folder here, and not, or not whole, in the hub's cache.",
        why=f"The cache is {constants.HF_HUB_CACHE}; --offline, or HF_HUB_OFFLINE, forbids to ask the hub itself.",
        remedy="Ask for it once without, where there is a network; or give the path of a copy.",
    )


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
