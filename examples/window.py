"""A window around an engine: ``python examples/window.py``. Needs tkinter, which comes with Python.

The engine draws in threads of its own; the window asks a few times a second what has come, and never waits.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass
from threading import Thread

from PIL.Image import Image

from latentry import Drawn, Ended, Engine, GenerationRequest, Job, PluginHost, Previewed, Stepped


@dataclass(frozen=True)
class Update:
    """What the window is to show; None leaves a thing as it is."""

    text: str | None = None
    share: float | None = None
    image: Image | None = None
    over: bool = False


class Studio:
    """Starts jobs and turns their events into updates. It knows nothing of windows."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.updates = engine, queue.SimpleQueue[Update]()
        self.job: Job | None = None

    def draw(self, request: GenerationRequest) -> None:
        """Starts a job, in place of the one that is being drawn."""
        self.cancel()
        self.job = self.engine.submit(request, previews=1)
        Thread(target=self._follow, args=(self.job,), daemon=True).start()

    def cancel(self) -> None:
        """Ends the job, if there is one."""
        if self.job is not None:
            self.job.cancel()

    def news(self) -> list[Update]:
        """What has come since the last call; does not wait."""
        found = []
        while not self.updates.empty():
            found.append(self.updates.get())
        return found

    def _follow(self, job: Job) -> None:
        for event in job.events():
            if job is not self.job:
                return
            match event:
                case Stepped(moment):
                    self.updates.put(Update(moment.text, moment.done / moment.total if moment.total else None))
                case Previewed(_, image):
                    self.updates.put(Update(image=image))
                case Drawn(result):
                    self.updates.put(Update(image=result.images[0]))
                case Ended(state, error):
                    self.updates.put(Update(str(error or state), 1.0, over=True))


def show(studio: Studio) -> None:
    """Opens the window, and returns when it is closed."""
    import tkinter as tk
    from tkinter import ttk

    from PIL.ImageTk import PhotoImage

    window = tk.Tk()
    window.title("Latentry")
    prompt, text, share = tk.StringVar(value="a red circle left of a blue square"), tk.StringVar(), tk.DoubleVar()
    picture = ttk.Label(window)
    ttk.Entry(window, textvariable=prompt, width=50).pack(fill="x", padx=8, pady=8)
    buttons = ttk.Frame(window)
    ttk.Button(buttons, text="Draw", command=lambda: studio.draw(GenerationRequest(prompt=prompt.get()))).pack(
        side="left"
    )
    ttk.Button(buttons, text="Cancel", command=studio.cancel).pack(side="left")
    buttons.pack(padx=8)
    picture.pack(padx=8, pady=8)
    ttk.Progressbar(window, variable=share, maximum=1.0).pack(fill="x", padx=8)
    ttk.Label(window, textvariable=text).pack(padx=8, pady=8)
    shown: list[PhotoImage] = []  # tkinter keeps no reference of its own

    def refresh() -> None:
        for update in studio.news():
            if update.text is not None:
                text.set(update.text)
            if update.share is not None:
                share.set(update.share)
            if update.image is not None:
                shown[:] = [PhotoImage(update.image.resize((256, 256)))]
                picture.configure(image=shown[0])
        window.after(50, refresh)

    refresh()
    window.mainloop()
    studio.cancel()


if __name__ == "__main__":
    show(Studio(Engine(PluginHost())))
