"""Teaches the text encoders to read, before any picture is drawn.

Which of two things lies on the left depends on the relation and on the order they are named in, and on neither
alone: a denoiser that learns to read by drawing finds no slope there and stays at chance. Read first, it is learnt in
two hundred steps. CLIP looks back only: the last positions of a caption, which only ever hold padding, come to say what
lies where. T5 looks both ways: the words of a thing come to say where it lies.

Some things are half said, a colour alone or a shape alone, and no answer counts as quite right. Without the former a
text encoder reads one off the other as far as it can; without the latter it goes on to learn which pairs it never saw.
Of the held-out captions CLIP-L has its colours right at the last positions in 81 %, in its summary in 40 %, without
either; with both in 100 and 96 %.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from latentry_shapes._progress import Show, progress
from latentry_shapes._stage import SAVE_EVERY, Stage
from latentry_shapes.encoders import TEXT_ENCODERS, TOKENS, States
from latentry_shapes.scenes import BACKGROUNDS, COLORS, SHAPES, Scene, halved, random_scene

UNCONDITIONAL = 0.1
"""Share of captions that are dropped, so that guidance has an unconditional prediction."""
NO_BACKGROUND = 0.25
"""Share of captions that leave the background open."""
PLACES = ("middle", "left", "right", "top", "bottom")
BY_RELATION: Mapping[str | None, tuple[str, ...]] = MappingProxyType(
    {
        None: ("middle",),
        "left of": ("left", "right"),
        "right of": ("right", "left"),
        "above": ("top", "bottom"),
        "below": ("bottom", "top"),
    }
)
"""Where the things of a scene lie, in the order they are named."""
ANSWERS = len(PLACES) + 1
"""How many answers there are: the background, then what lies in each place."""
NAMES = (0, *range(1, ANSWERS), *range(1, ANSWERS))
"""The answer that each question belongs to: the background, the colour in each place, then the shape in each."""
ASKED = len(NAMES)
"""How many questions there are."""
COLOR, SHAPE = slice(1, ANSWERS), slice(ANSWERS, ASKED)
"""Which of them ask for colours and for shapes."""
UNASKED = -100
"""The answer of a question that is not asked, which counts for nothing."""
DOUBT = 0.1
"""Label smoothing: an answer that cannot be made surer needs no help from which pairs were never seen."""
NAMED = 4.0
"""How strongly an answer says which question it answers, in a text state of length √width."""
NOTHING, UNSAID = "nothing", "unsaid"


def classes(values: Sequence[str]) -> tuple[str, ...]:
    """What a place can be said to hold: one of the values, nothing, or the caption does not say."""
    return (*values, NOTHING, UNSAID)


CLASSES = (classes(tuple(COLORS)), classes(SHAPES), classes(tuple(BACKGROUNDS)))
"""Possible answers: colours, shapes, backgrounds."""


class Reader(nn.Module):
    """A text encoder and what it is asked; its answers are linear in its states.

    Args:
        name: of the text encoder, in ``TEXT_ENCODERS``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.text_encoder = TEXT_ENCODERS[name].build()
        self._read = TEXT_ENCODERS[name].read
        width = self.text_encoder.get_input_embeddings().embedding_dim  # type: ignore[operator]
        self.places = nn.ModuleList(nn.Linear(width, len(possible)) for possible in CLASSES)
        rows = (len(PLACES), len(PLACES), 1)
        self.summary = nn.ModuleList(nn.Linear(width, n * len(c)) for n, c in zip(rows, CLASSES, strict=True))

    def forward(self, tokens: Tensor, asked: Tensor) -> States:
        """The states (batch, ASKED, width) at the positions asked (batch, ASKED), and the summaries.

        Args:
            tokens: (batch, TOKENS).
            asked: positions, negative where a question is not asked.
        """
        states = self._read(self.text_encoder, tokens)
        index = asked.clamp(min=0)[..., None].expand(-1, -1, states.tokens.shape[-1])
        return states._replace(tokens=states.tokens.gather(1, index))

    def scores(self, states: States) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Scores (batch, places, classes) of colours, shapes and background: by the positions, and by the summary."""
        colors, shapes, background = self.places
        at = states.tokens
        said = [(colors(at[:, COLOR]), shapes(at[:, SHAPE]), background(at[:, :1]))]
        if states.projected is not None:
            summed = [ask(states.projected) for ask in self.summary]
            colors, shapes, background = (
                each.unflatten(1, (-1, len(possible))) for each, possible in zip(summed, CLASSES, strict=True)
            )
            said.append((colors, shapes, background))
        return said


def unnamed(states: Tensor, asked: Tensor) -> Tensor:
    """How far the answers are from saying which they are, in their first numbers.

    Without it a state says what lies in a place, and next to nothing of which place, and no attention finds it.
    """
    names = NAMED * torch.eye(ANSWERS, device=states.device)[list(NAMES)]
    wrong = (states[..., :ANSWERS] - names).square().mean(dim=-1)
    return wrong[asked >= 0].mean()


def positions(scene: Scene, caption: str, *, back_only: bool) -> list[int]:
    """Where a text encoder is asked each question; negative where it is not.

    Args:
        scene: what the caption tells.
        caption: of one word a token.
        back_only: the encoder looks back only, and is asked at the last positions.
    """
    if back_only:
        return [TOKENS - ANSWERS + name for name in NAMES]
    words, begin = caption.split(), 0
    colors, shapes = dict.fromkeys(PLACES, -1), dict.fromkeys(PLACES, -1)
    for place, thing in zip(BY_RELATION[scene.relation], scene.things, strict=True):
        for said, word in ((colors, thing.color), (shapes, thing.shape)):
            if word in words[begin:]:
                said[place] = words.index(word, begin)
                begin = said[place] + 1
    background = next((i for i, word in enumerate(words) if word in BACKGROUNDS), -1)
    return [background, *colors.values(), *shapes.values()]


def captions(scenes: Sequence[Scene], rng: random.Random) -> Iterator[str]:
    """The scenes' captions, some without a background and some empty."""
    for scene in scenes:
        dropped, background = rng.random() < UNCONDITIONAL, rng.random() >= NO_BACKGROUND
        yield "" if dropped else scene.caption(background=background)


def answers(scene: Scene, caption: str) -> tuple[list[int], list[int], list[int]]:
    """The classes a reader of this caption must give: colours and shapes of the places, and the background."""
    blank = UNSAID if caption == "" else NOTHING
    colors, shapes = dict.fromkeys(PLACES, blank), dict.fromkeys(PLACES, blank)
    if caption != "":
        for place, thing in zip(BY_RELATION[scene.relation], scene.things, strict=True):
            colors[place], shapes[place] = thing.color or UNSAID, thing.shape or UNSAID
    background = scene.background if scene.background in caption.split() else UNSAID
    told = (colors.values(), shapes.values(), [background])
    first, second, third = ([possible.index(one) for one in said] for said, possible in zip(told, CLASSES, strict=True))
    return first, second, third


def lost(said: Sequence[Sequence[Tensor]], right: Sequence[Tensor], asked: Tensor) -> Tensor:
    """The cross-entropy of what the positions say, where they were asked, and of what the summary says, if any."""
    by_question = (asked[:, COLOR], asked[:, SHAPE], asked[:, :1])
    of_positions = [each.masked_fill(at < 0, UNASKED) for each, at in zip(right, by_question, strict=True)]
    return torch.stack(
        [
            cross_entropy(scores.flatten(0, 1), answer.flatten(), label_smoothing=DOUBT)
            for scored, answered in zip(said, (of_positions, right), strict=False)
            for scores, answer in zip(scored, answered, strict=True)
        ]
    ).sum()


def train_reader(
    folder: Path, name: str, *, steps: int, batch: int, seed: int, every: int = SAVE_EVERY, show: Show = progress
) -> nn.Module:
    """A text encoder that tells from a caption alone what lies where."""
    torch.manual_seed(seed)
    encoder = TEXT_ENCODERS[name]
    reader = Reader(name)
    stage = Stage(reader, folder / f"reader-{name}.pt", steps=steps, peak=1e-3, decay=0.98)

    def loss(step: int) -> Tensor:
        rng = random.Random(f"{seed} reader {name} {step}")
        scenes = [halved(random_scene(rng), rng) for _ in range(batch)]
        prompts = list(captions(scenes, rng))
        both = zip(scenes, prompts, strict=True)
        asked = torch.tensor([positions(*each, back_only=encoder.back_only) for each in both])
        states = stage.network(encoder.ids(prompts), asked)
        right = [torch.tensor(each) for each in zip(*map(answers, scenes, prompts), strict=True)]
        return lost(reader.scores(states), right, asked) + unnamed(states.tokens, asked)

    return stage.run(loss, every=every, show=show).text_encoder
