"""A job being drawn: its events, and what is saved where it is paused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL.Image import Image

from latentry._contract._progress import Progress, ProgressEvent
from latentry._generate._batch._loop import Halted
from latentry._generate._drawing import Drawing, Progressed, Studio
from latentry._generate._saved import SavedJob
from latentry._jobs._company import InJob
from latentry._jobs._course import Course, Interrupted, Paused
from latentry._jobs._events import Drawn, Previewed
from latentry._request._given_noise import GivenNoise
from latentry._request._result import GenerationResult
from latentry._resolve._setup import Setup
from latentry._resolve._shown._read_picture import read_image, read_mask


@dataclass(frozen=True)
class JobDrawing:
    """Draws a job in this thread, from its request or from where it was left.

    Attributes:
        studio: of the engine.
        course: of the job.
        company: with whom it shares networks.
        prepare: makes the setup; called with the progress of downloads.
        given: pictures that a program gave, by name.
        done: how far the job had come before.
        progress: of the caller.
        previews: a preview after every so many steps; 0 for none.
    """

    studio: Studio
    course: Course
    company: InJob
    prepare: Callable[[Progress], Setup]
    given: Mapping[str, Image | None]
    done: Progressed
    progress: Progress | None
    previews: int

    def __call__(self) -> GenerationResult:
        """See ``Drawing``.

        Raises:
            Paused: with the state of the job.
        """
        setup = self.prepare(self._download)
        drawing = Drawing(
            self.studio,
            setup,
            range(len(setup.request.prompts)),
            GivenNoise(),
            self._report,
            lambda result: self.course.tell(Drawn(result)),
            self.company,
            self.done,
        )
        try:
            self.company.check()
            return drawing()
        except Interrupted as interrupted:
            if interrupted.wish != "pause":
                raise
        except Halted:
            pass
        raise Paused(self._saved(setup))

    def _download(self, event: ProgressEvent) -> None:
        self.course.check(("drop", "keep"))  # a pause waits until there is a setup
        self._report(event)

    def _report(self, event: ProgressEvent) -> None:
        if self.previews and event.glimpse and event.run and event.run.index % self.previews == 0:
            for index, image in zip(event.glimpse.pictures, event.glimpse.images(), strict=False):
                self.course.tell(Previewed(index, image))
        self.course.step(event)
        if self.progress is not None:
            with self.company.outside():
                self.progress(event)

    def _saved(self, setup: Setup) -> bytes:
        read = {"init_image": read_image, "mask": read_mask}
        given = {name: read[name](picture, lambda note: None) for name, picture in self.given.items() if picture}
        return SavedJob(setup.recipe(0, GivenNoise()), given, self.done).to_bytes()
