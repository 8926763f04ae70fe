"""Errors of downloads from the Hub, as one clear message each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants, errors

from latentry import ModelError


def absent(name: str, why: str) -> ModelError:
    """The error if the Hub, or the cache, does not have something."""
    return ModelError(
        f"There is no model {name!r}.",
        why=f"There is no file or folder {name!r} here, and {why}.",
        remedy="Check the spelling; `latentry models` lists the installed models.",
    )


def several(name: str, files: list[str]) -> ModelError:
    """The error if a repository has weights of several models, and nothing says which is meant."""
    return ModelError(
        f"{name} has {len(files)} files of weights and no description of a model made of them.",
        why=f"They are {', '.join(files)}.",
        remedy=f"Name one of them, e.g. {name}/{files[0]}.",
    )


def unreachable(error: Exception) -> bool:
    """Whether the Hub did not answer at all."""
    return isinstance(error, errors.HTTPError) and not isinstance(error, errors.HfHubHTTPError)


@contextmanager
def explained(repository: str, revision: str | None, *, offline: bool) -> Iterator[None]:
    """Turns what the Hub's client raises into one clear error.

    Raises:
        ModelError: what cannot be downloaded, why, and what to do.
    """
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        raise _not_cached(repository, revision, offline, error) from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{repository} is gated: the Hub gives it only to people who have accepted its terms.",
            remedy=f"Accept them at {constants.ENDPOINT}/{repository}, then log in here: hf auth login.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{repository} has no revision {revision!r}.",
            remedy="Give a branch, a tag or a whole commit, or leave it out for the newest of the main branch.",
            field="revision",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise absent(repository, f"{constants.ENDPOINT} has no such repository, or it is private") from error
    except (errors.HTTPError, OSError) as error:
        raise ModelError(
            f"{repository} cannot be downloaded from the Hub.",
            why=f"There is no file or folder {repository!r} here, and the request to the Hub failed. "
            f"{constants.ENDPOINT}: {_first_line(error)}",
            remedy="If it is a path, check the spelling. If it is on the Hub, try again later, or offline if it was "
            "downloaded before.",
        ) from error


def _not_cached(repository: str, revision: str | None, offline: bool, error: Exception) -> ModelError:
    which = f"{repository} at {revision}" if revision else repository
    if not offline:
        return ModelError(
            f"The download of {which} is incomplete.",
            why=_first_line(error),
            remedy="Try again: what has arrived is kept.",
        )
    return ModelError(
        f"{which} is not in the Hub's cache, or only in part, and there is no file or folder {repository!r} here.",
        why=f"The cache is {constants.HF_HUB_CACHE}. Offline, the Hub itself is not asked.",
        remedy="Run it once without --offline and HF_HUB_OFFLINE, or give the path of a copy.",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
